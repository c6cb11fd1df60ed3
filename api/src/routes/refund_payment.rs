//! `POST /api/payments/{id}/refund`: an operator gives money back, all that is left or a part of it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use common::{
    commands::refund::{RefundError, Wish, request_refund},
    domain::refund::RefundStatus,
    store::{StoreError, payment_methods, payments, refund_requests::Requested},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    auth::Operator,
    body::Fields,
    error::ApiError,
    input,
    settlements::until_refunded,
    views::{PaymentView, RefundView},
};

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct RefundBody {
    /// Won; all that is left when left out.
    #[schema(minimum = 1, example = 9900)]
    amount: Option<i32>,
    /// The customer reads it in the e-mail.
    #[schema(min_length = 1, max_length = 200, example = "고객 요청")]
    reason: String,
}

/// The money has gone back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refunded {
    success: bool,
    refund: RefundView,
    payment: PaymentView,
}

/// The refund is on record and has not settled yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefundProcessing {
    success: bool,
    #[schema(example = "processing")]
    status: &'static str,
    refund: RefundView,
}

/// Gives money back. The same `Idempotency-Key` again is one refund and its answer.
#[utoipa::path(
    post, path = "/api/payments/{id}/refund", tag = "operators", request_body = RefundBody,
    security(("operator" = [])),
    params(
        ("id" = String, Path, description = "The payment's UUID"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters; without it each request is a refund of its own"),
    ),
    responses(
        (status = 200, description = "Gone back", body = Refunded),
        (status = 202, description = "On record, not settled yet: the same request with the same key answers again", body = RefundProcessing),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No operator's token"),
        (status = 404, description = "No such payment"),
        (status = 409, description = "`not_refundable`, `refund_in_progress`, `idempotency_conflict`; or `refund_refused` with Toss's code"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`: also an amount above what is left"),
        (status = 503, description = "The database is away; safe to repeat with a key"),
    )
)]
pub(crate) async fn refund_payment(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Fields,
) -> Result<Response, ApiError> {
    let payment_id = Uuid::try_parse(&id).map_err(|_| ApiError::NotFound)?;
    let amount = input::optional_amount(&body)?;
    let reason = input::refund_reason(&body)?;
    let key = input::idempotency_key(&headers)?;
    let actor = format!("operator:{}", operator.email);
    let wish = Wish { payment_id, amount, reason: &reason, key, actor: &actor };
    // Before the commit, so that not even the fastest worker's news is missed.
    let heard = app.settlements.subscribe();
    let requested = record(&app, wish).await?;
    answer(&app, until_refunded(&app, heard, requested).await).await
}

/// Refund and job exist on commit, or neither.
async fn record(app: &App, wish: Wish<'_>) -> Result<Requested, RefundError> {
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let requested = request_refund(&mut tx, wish, app.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(requested)
}

async fn answer(app: &App, refund: Requested) -> Result<Response, ApiError> {
    match refund.status {
        RefundStatus::Pending | RefundStatus::Unknown => {
            let refund = RefundView::of(refund);
            let body = RefundProcessing { success: true, status: "processing", refund };
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        RefundStatus::Completed => refunded(app, refund).await,
        RefundStatus::Failed => Err(ApiError::RefundRefused {
            code: refund.toss_code.unwrap_or_default(),
            message: refund.toss_message.unwrap_or_default(),
        }),
    }
}

async fn refunded(app: &App, refund: Requested) -> Result<Response, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let id = refund.payment_id;
    let payment = payments::find(&mut conn, id).await?;
    let payment = payment.ok_or_else(|| ApiError::Internal(anyhow::anyhow!("refund of no payment {id}")))?;
    let method = payment_methods::of_payments(&mut conn, &[id]).await?.remove(&id);
    let payment = PaymentView::of(payment, method);
    Ok(Json(Refunded { success: true, refund: RefundView::of(refund), payment }).into_response())
}
