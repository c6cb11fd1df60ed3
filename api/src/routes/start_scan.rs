//! `POST /api/payments/billing/auto` and `GET /api/cron/billing`: enqueues today's scan, once a day however often asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::response::IntoResponse;
use common::domain::calendar::seoul_date;
use common::jobs;
use common::jobs::{Enqueued, ScanDueSubscriptions};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, caller::CronCaller, error::ApiError, problem::Problem};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScanStarted {
    success: bool,
    /// The day's scan in the job table; the same all day.
    job_id: i64,
    /// False when it was enqueued before.
    created: bool,
}

/// Enqueues today's scan (the date in Asia/Seoul).
#[utoipa::path(
    post, path = "/api/payments/billing/auto", tag = "cron", security(("cron" = [])),
    responses(
        (status = 202, description = "Enqueued, now or before", body = ScanStarted),
        (status = 401, description = "Not CRON_SECRET"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn start_scan(
    State(app): State<Arc<App>>,
    _: CronCaller,
) -> Result<(StatusCode, Json<ScanStarted>), ApiError> {
    let now = app.clock.now();
    let scan = ScanDueSubscriptions { date: seoul_date(now) };
    let enqueued =
        app.transaction(async |tx| jobs::enqueue(tx, &scan, now, now).await.map_err(ApiError::from)).await?;
    let created = matches!(enqueued, Enqueued::New(_));
    tracing::info!(job.id = enqueued.id(), scan.date = %scan.date, created, "daily scan requested");
    Ok((StatusCode::ACCEPTED, Json(ScanStarted { success: true, job_id: enqueued.id(), created })))
}

/// The same for cron services that send GET.
#[utoipa::path(
    get, path = "/api/cron/billing", tag = "cron", security(("cron" = [])),
    responses(
        (status = 202, description = "Enqueued, now or before", body = ScanStarted),
        (status = 401, description = "Not CRON_SECRET"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn start_scan_by_get(
    app: State<Arc<App>>,
    caller: CronCaller,
) -> Result<(StatusCode, Json<ScanStarted>), ApiError> {
    start_scan(app, caller).await
}

/// HEAD may change nothing, and a route for GET would answer it by doing what GET does.
pub(crate) async fn refuse_head() -> impl IntoResponse {
    ([(ALLOW, "GET")], ApiError::from(Problem::MethodNotAllowed))
}
