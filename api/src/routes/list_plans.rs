//! `GET /api/plans`: what is sold, and for how much.

use std::sync::Arc;

use axum::{Json, extract::State};
use common::store::plans;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, error::ApiError, views::PlanView};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanList {
    success: bool,
    plans: Vec<PlanView>,
}

/// Plans with their prices in won.
#[utoipa::path(get, path = "/api/plans", tag = "plans", responses((status = 200, description = "What is sold now", body = PlanList)))]
pub(crate) async fn list_plans(State(app): State<Arc<App>>) -> Result<Json<PlanList>, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let plans = plans::list(&mut conn).await?;
    Ok(Json(PlanList { success: true, plans: plans.into_iter().map(PlanView::from).collect() }))
}
