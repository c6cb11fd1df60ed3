//! `GET /healthz`: this process is alive. `GET /readyz`: it can serve, because the database answers.

use std::sync::Arc;

use axum::{Json, extract::State};
use common::store::ping;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, error::ApiError};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "Alive", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Able to serve.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Able to serve", body = Health), (status = 503, description = "The database is away"))
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    ping(&app.pool).await?;
    Ok(Json(Health { status: "ok" }))
}
