//! `POST /api/payments/{id}/refund`: an operator gives money back, all that is left or a part of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use common::commands::operate;
use common::commands::operate::Change;
use common::commands::refund::{RefundRequest, request_refund};
use common::domain::action::Target;
use common::domain::actor::Reason;
use common::domain::refund::RefundStatus;
use common::domain::validated::{IdempotencyKey, PositiveWon, RefundReason};
use common::store::refunds::Requested;
use common::store::{payments, refunds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::caller::Operator;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::request::{JsonBody, idempotency_key};
use crate::settlements::SettlementSubscription;
use crate::views::{PaymentView, RefundView};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundBody {
    /// Won; all that is left when left out.
    #[schema(value_type = Option<i32>, minimum = 1, example = 9900)]
    amount: Option<PositiveWon>,
    /// The customer reads it in the e-mail.
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "고객 요청")]
    reason: RefundReason,
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
        (status = 403, description = "The token of a viewer"),
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
    JsonBody(body): JsonBody<RefundBody>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let payment_id = Uuid::try_parse(&id).map_err(|_| Problem::NotFound)?;
    let actor = &operator.actor;
    let request = RefundRequest {
        payment_id,
        amount: body.amount.map(PositiveWon::won),
        reason: body.reason.as_str(),
        key: key.as_ref().map(IdempotencyKey::as_str),
        actor: actor.as_str(),
    };
    let reason = Reason::from(&body.reason);
    let change =
        Change { actor, action: "payment.refund", target: Target::Payment(payment_id), reason: &reason };
    let now = app.clock.now();
    // Subscribed before the commit: even the fastest worker's announcement is received.
    let subscription = app.settlements.subscribe();
    let recorded = app
        .transaction(async |tx| {
            operate::recorded(tx, change, now, async |tx| request_refund(tx, request, now).await).await
        })
        .await?;
    answer(&app, wait_for_refund(&app, subscription, recorded).await).await
}

/// Waits for the refund, which is announced by its id.
pub(super) async fn wait_for_refund(
    app: &App,
    subscription: SettlementSubscription,
    recorded: Requested,
) -> Requested {
    let id = recorded.id;
    let read = || async {
        let mut conn = app.pool.acquire().await?;
        refunds::find(&mut conn, id).await
    };
    let is_unfinished = Requested::is_unfinished;
    app.settlements.wait_until_settled(subscription, &id.to_string(), recorded, is_unfinished, read).await
}

async fn answer(app: &App, refund: Requested) -> Result<Response, ApiError> {
    match refund.status {
        RefundStatus::Pending | RefundStatus::Unknown => {
            let refund = RefundView::new(refund);
            let body = RefundProcessing { success: true, status: "processing", refund };
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        RefundStatus::Completed => refunded(app, refund).await,
        RefundStatus::Failed => {
            let (code, message) =
                (refund.toss_code.unwrap_or_default(), refund.toss_message.unwrap_or_default());
            Err(ApiError::refused_by_toss(Problem::RefundRefused, code, message, None))
        }
    }
}

async fn refunded(app: &App, refund: Requested) -> Result<Response, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let id = refund.payment_id;
    let payment = payments::find(&mut conn, id).await?;
    let payment = payment.ok_or_else(|| ApiError::internal(anyhow::anyhow!("refund of no payment {id}")))?;
    let method = payments::methods_of(&mut conn, &[id]).await?.remove(&id);
    let payment = PaymentView::new(payment, method);
    Ok(Json(Refunded { success: true, refund: RefundView::new(refund), payment }).into_response())
}
