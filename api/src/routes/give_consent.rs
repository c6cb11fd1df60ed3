//! `POST /api/subscriptions/{id}/consents`: the customer's yes to a higher amount, kept with what was shown.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::NaiveDate;
use common::{
    commands::{
        change_plan::Wish,
        consent::{Shown, give_consent as give},
    },
    domain::money::Won,
    id::parse_subscription_ref,
};
use utoipa::ToSchema;

use super::show_subscription::{SubscriptionAnswer, answer};
use crate::{app::App, auth::Customer, body::Fields, error::ApiError, input, origin::Origin};

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct ConsentBody {
    /// Exactly what the customer was shown; `pendingChange.consent.text` says all that has to be said.
    #[schema(min_length = 1, max_length = 4000)]
    text: String,
    /// The new amount that was shown, in won.
    #[schema(example = 19900)]
    amount: i32,
    /// The date that was shown.
    #[schema(example = "2026-12-22")]
    effective_date: NaiveDate,
}

/// A consent as it came in.
pub(super) struct GivenConsent {
    text: String,
    amount: Won,
    effective_on: NaiveDate,
}

pub(super) fn read_consent(fields: &Fields) -> Result<GivenConsent, ApiError> {
    Ok(GivenConsent {
        text: input::shown_text(fields)?,
        amount: input::amount(fields)?,
        effective_on: input::effective_date(fields)?,
    })
}

impl GivenConsent {
    pub(super) fn shown<'a>(&'a self, origin: &'a Origin) -> Shown<'a> {
        Shown {
            text: &self.text,
            amount: self.amount,
            effective_on: self.effective_on,
            ip: origin.ip.as_deref(),
            forwarded_for: origin.forwarded_for.as_deref(),
            user_agent: origin.user_agent.as_deref(),
        }
    }
}

/// Records that the customer agrees to the higher amount of the pending change. A second time changes nothing.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/consents", tag = "subscriptions", request_body = ConsentBody,
    security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "On record: `pendingChange.consent.givenAt`", body = SubscriptionAnswer),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 409, description = "`no_pending_change`, `consent_not_needed`, `consent_too_early` (more than 30 days before) or `consent_too_late`: nothing is written"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`: also an amount or a date that is not the pending change's"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn give_consent(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
    origin: Origin,
    body: Fields,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let consent = read_consent(&body)?;
    let subscription_id = parse_subscription_ref(&id).ok_or(ApiError::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let wish = Wish { subscription_id, user_id: customer.id, actor: &actor };
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let subscription = give(&mut tx, wish, consent.shown(&origin), now).await?;
    let answered = answer(&mut tx, &subscription, now).await?;
    tx.commit().await?;
    Ok(answered)
}
