//! `POST /api/subscriptions/{id}/plan`: another plan or cycle from the next renewal on; `…/plan/undo` takes it back.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use common::{
    commands::{
        change_plan::{Wish, change_plan as change, undo_change},
        consent::give_consent,
    },
    id::parse_subscription_ref,
};
use utoipa::ToSchema;

use super::{
    give_consent::{ConsentBody, read_consent},
    show_subscription::{SubscriptionAnswer, answer},
};
use crate::{app::App, auth::Customer, body::Fields, error::ApiError, input, origin::Origin};

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct ChangeBody {
    /// As `GET /api/plans` lists it.
    #[schema(example = "pro")]
    plan: String,
    /// `monthly` or `yearly`.
    #[schema(example = "monthly")]
    billing_cycle: String,
    /// The consent that a higher amount needs, if it is given at once; it can be given later.
    consent: Option<ConsentBody>,
}

/// Moves one of the customer's subscriptions to another plan or cycle at its next renewal. Nothing is charged before.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/plan", tag = "subscriptions", request_body = ChangeBody,
    security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "`pendingChange` says what comes when; an earlier wish is replaced", body = SubscriptionAnswer),
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
    origin: Origin,
    body: Fields,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let (plan, cycle) = (input::plan(&body)?, input::billing_cycle(&body)?);
    let consent = input::object(&body, "consent")?.as_ref().map(read_consent).transpose()?;
    let subscription_id = parse_subscription_ref(&id).ok_or(ApiError::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let wish = Wish { subscription_id, user_id: customer.id, actor: &actor };
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let (subscription, _) = change(&mut tx, wish, &plan, cycle, now).await?;
    if let Some(consent) = &consent {
        give_consent(&mut tx, wish, consent.shown(&origin), now).await?;
    }
    let answered = answer(&mut tx, &subscription, now).await?;
    tx.commit().await?;
    Ok(answered)
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
    let subscription_id = parse_subscription_ref(&id).ok_or(ApiError::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let wish = Wish { subscription_id, user_id: customer.id, actor: &actor };
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let subscription = undo_change(&mut tx, wish, now).await?;
    let answered = answer(&mut tx, &subscription, now).await?;
    tx.commit().await?;
    Ok(answered)
}
