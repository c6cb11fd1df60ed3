//! `POST /api/subscriptions/{id}/plan`: another plan or cycle from the next renewal on; `…/plan/undo` takes it back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use common::commands::change_plan;
use common::commands::change_plan::{ChangePlan, undo_change};
use common::commands::consent::give_consent;
use common::domain::calendar::Cycle;
use common::domain::validated::PlanCode;
use common::id::parse_subscription_ref;
use serde::Deserialize;
use utoipa::ToSchema;

use super::give_consent::ConsentBody;
use super::subscriptions::{SubscriptionAnswer, answer_subscription};
use crate::app::App;
use crate::caller::Customer;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::request::{ClientInfo, JsonBody};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeBody {
    /// As `GET /api/plans` lists it.
    #[schema(value_type = String, example = "pro")]
    plan: PlanCode,
    /// `monthly` or `yearly`.
    #[schema(value_type = String, example = "monthly")]
    billing_cycle: Cycle,
    /// The consent that a higher amount needs, if it is given at once; it can be given later.
    consent: Option<ConsentBody>,
}

/// Moves one of the customer's subscriptions to another plan or cycle at its next renewal. Nothing is charged before.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/plan", tag = "subscriptions", request_body = ChangeBody,
    security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "`pendingChange` says what comes when; an earlier change is replaced", body = SubscriptionAnswer),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 409, description = "`plan_unchanged`, `suspended`, `already_canceled` or `not_begun`; with a consent also `consent_too_early` or `consent_not_needed`: nothing is written"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`: also an unknown plan, and a consent to another amount or date"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn change_plan(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
    client: ClientInfo,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let subscription_id = parse_subscription_ref(&id).ok_or(Problem::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let request = ChangePlan { subscription_id, user_id: customer.id, actor: &actor };
    let now = app.clock.now();
    app.transaction(async |tx| {
        let (plan, cycle) = (body.plan.as_str(), body.billing_cycle);
        let (subscription, _) = change_plan::change_plan(tx, request, plan, cycle, now).await?;
        if let Some(consent) = &body.consent {
            give_consent(tx, request, consent.shown(&client), now).await?;
        }
        answer_subscription(tx, &subscription, now).await
    })
    .await
}

/// Takes the change back before it has taken effect.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/plan/undo", tag = "subscriptions", security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "It stays as it is; a new price of its plan still comes", body = SubscriptionAnswer),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 409, description = "`no_pending_change`: nothing is written"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn undo_plan_change(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let subscription_id = parse_subscription_ref(&id).ok_or(Problem::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let request = ChangePlan { subscription_id, user_id: customer.id, actor: &actor };
    let now = app.clock.now();
    app.transaction(async |tx| {
        let subscription = undo_change(tx, request, now).await?;
        answer_subscription(tx, &subscription, now).await
    })
    .await
}
