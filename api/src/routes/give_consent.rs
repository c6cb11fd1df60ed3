//! `POST /api/subscriptions/{id}/consents`: the customer's agreement to a higher amount, kept with what was shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use common::commands::change_plan::ChangePlan;
use common::commands::consent;
use common::commands::consent::Shown;
use common::domain::validated::{CivilDate, PositiveWon, ShownText};
use common::id::parse_subscription_ref;
use serde::Deserialize;
use utoipa::ToSchema;

use super::subscriptions::{SubscriptionAnswer, answer_subscription};
use crate::app::App;
use crate::caller::Customer;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::request::{ClientInfo, JsonBody};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsentBody {
    /// Exactly what the customer was shown; `pendingChange.consent.text` says all that has to be said.
    #[schema(value_type = String, min_length = 1, max_length = 4000)]
    text: ShownText,
    /// The new amount that was shown, in won.
    #[schema(value_type = i32, example = 19900)]
    amount: PositiveWon,
    /// The date that was shown.
    #[schema(value_type = chrono::NaiveDate, example = "2026-12-22")]
    effective_date: CivilDate,
}

impl ConsentBody {
    pub(super) fn shown<'a>(&'a self, client: &'a ClientInfo) -> Shown<'a> {
        Shown {
            text: self.text.as_str(),
            amount: self.amount.won(),
            effective_on: self.effective_date.0,
            ip: client.ip.as_deref(),
            forwarded_for: client.forwarded_for.as_deref(),
            user_agent: client.user_agent.as_deref(),
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
    client: ClientInfo,
    JsonBody(body): JsonBody<ConsentBody>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let subscription_id = parse_subscription_ref(&id).ok_or(Problem::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let request = ChangePlan { subscription_id, user_id: customer.id, actor: &actor };
    let now = app.clock.now();
    app.transaction(async |tx| {
        let subscription = consent::give_consent(tx, request, body.shown(&client), now).await?;
        answer_subscription(tx, &subscription, now).await
    })
    .await
}
