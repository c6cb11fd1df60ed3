//! `POST /api/subscriptions/{id}/end`: an operator ends a subscription at once, with the refund of what was not used.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use common::{
    commands::end::{EndError, Ended, Wish, end_subscription as end},
    id::parse_subscription_ref,
    store::{StoreError, refund_requests::Requested},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::Operator,
    body::Fields,
    error::ApiError,
    input,
    settlements::until_refunded,
    views::{RefundView, SubscriptionView},
};

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct EndBody {
    /// `pro_rata` gives back the share of the unused days; `none` nothing. `pro_rata` when left out.
    #[schema(pattern = "^(pro_rata|none)$", example = "pro_rata")]
    refund: Option<String>,
    /// The customer reads it in the e-mail about the refund.
    #[schema(min_length = 1, max_length = 200, example = "고객 요청")]
    reason: String,
}

/// It has ended. A refund that Toss refused is `failed`: it is made by hand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndAnswer {
    success: bool,
    subscription: SubscriptionView,
    /// Null when nothing goes back.
    refund: Option<RefundView>,
    /// Days of the period after today, in Seoul; and all of its days.
    unused_days: u32,
    period_days: u32,
}

/// Ends a subscription at once. The same wish again is one end, one refund and the same answer.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/end", tag = "operators", request_body = EndBody,
    security(("operator" = [])),
    params(
        ("id" = String, Path, description = "`sub_…`, or the plain UUID"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters"),
    ),
    responses(
        (status = 200, description = "Ended; what goes back has gone back", body = EndAnswer),
        (status = 202, description = "Ended; its refund has not settled yet: the same request answers again", body = EndAnswer),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No operator's token"),
        (status = 404, description = "No such subscription"),
        (status = 409, description = "`already_ended`, `refund_in_progress`, `idempotency_conflict`: nothing is written"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn end_subscription(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Fields,
) -> Result<Response, ApiError> {
    let subscription_id = parse_subscription_ref(&id).ok_or(ApiError::NotFound)?;
    let policy = input::refund_policy(&body)?;
    let reason = input::refund_reason(&body)?;
    let key = input::idempotency_key(&headers)?;
    let actor = format!("operator:{}", operator.email);
    let wish = Wish { subscription_id, policy, reason: &reason, key, actor: &actor };
    // Before the commit, so that not even the fastest worker's news is missed.
    let heard = app.settlements.subscribe();
    let ended = record(&app, wish).await?;
    let refund = match ended.refund.clone() {
        Some(refund) => Some(until_refunded(&app, heard, refund).await),
        None => None,
    };
    Ok(answer(&app, &ended, refund))
}

/// End, refund and job exist on commit, or none of them.
async fn record(app: &App, wish: Wish<'_>) -> Result<Ended, EndError> {
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let ended = end(&mut tx, &app.brand, wish, app.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(ended)
}

fn answer(app: &App, ended: &Ended, refund: Option<Requested>) -> Response {
    let settled = !refund.as_ref().is_some_and(Requested::is_unfinished);
    let body = EndAnswer {
        success: true,
        subscription: SubscriptionView::of(&ended.subscription, app.clock.now()),
        refund: refund.map(RefundView::of),
        unused_days: ended.ending.unused.days,
        period_days: ended.ending.unused.of,
    };
    let status = if settled { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(body)).into_response()
}
