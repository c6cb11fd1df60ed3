//! `POST /api/subscriptions/{id}/end`: an operator ends a subscription at once, with the refund of what was not used.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use common::commands::end::{EndSubscription, Ended};
use common::commands::operate::Change;
use common::commands::{end, operate};
use common::domain::action::Target;
use common::domain::actor::Reason;
use common::domain::ending::RefundPolicy;
use common::domain::validated::{IdempotencyKey, RefundReason};
use common::id::parse_subscription_ref;
use common::store::refunds::Requested;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refund_payment::wait_for_refund;
use crate::app::App;
use crate::caller::Operator;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::request::{JsonBody, idempotency_key};
use crate::views::{RefundView, SubscriptionView};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndBody {
    /// `pro_rata` gives back the share of the unused days; `none` nothing. `pro_rata` when left out.
    #[schema(value_type = Option<String>, pattern = "^(pro_rata|none)$", example = "pro_rata")]
    refund: Option<RefundPolicy>,
    /// The customer reads it in the e-mail about the refund.
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "고객 요청")]
    reason: RefundReason,
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

/// Ends a subscription at once. The same request again is one end, one refund and the same answer.
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
        (status = 403, description = "The token of a viewer"),
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
    JsonBody(body): JsonBody<EndBody>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let subscription_id = parse_subscription_ref(&id).ok_or(Problem::NotFound)?;
    let actor = &operator.actor;
    let request = EndSubscription {
        subscription_id,
        policy: body.refund.unwrap_or(RefundPolicy::ProRata),
        reason: body.reason.as_str(),
        key: key.as_ref().map(IdempotencyKey::as_str),
        actor: actor.as_str(),
    };
    let reason = Reason::from(&body.reason);
    let target = Target::Subscription(subscription_id);
    let change = Change { actor, action: "subscription.end", target, reason: &reason };
    let now = app.clock.now();
    // Subscribed before the commit: even the fastest worker's announcement is received.
    let subscription = app.settlements.subscribe();
    let ended = app
        .transaction(async |tx| {
            let end = async |tx: &mut _| end::end_subscription(tx, &app.brand, request, now).await;
            operate::recorded(tx, change, now, end).await
        })
        .await?;
    let refund = match ended.refund.clone() {
        Some(refund) => Some(wait_for_refund(&app, subscription, refund).await),
        None => None,
    };
    Ok(answer(&app, &ended, refund))
}

fn answer(app: &App, ended: &Ended, refund: Option<Requested>) -> Response {
    let is_settled = !refund.as_ref().is_some_and(Requested::is_unfinished);
    let body = EndAnswer {
        success: true,
        subscription: SubscriptionView::new(&ended.subscription, app.clock.now()),
        refund: refund.map(RefundView::new),
        unused_days: ended.ending.unused.days,
        period_days: ended.ending.unused.of,
    };
    let status = if is_settled { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(body)).into_response()
}
