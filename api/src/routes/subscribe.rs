//! `POST /api/subscriptions`: subscribes with a card from the registration window, waits a little, answers what became of it.

use std::{sync::Arc, time::Instant};

use axum::extract::State;
use axum::response::Response;
use common::commands::register_card::RegisterError;
use common::commands::subscribe;
use common::commands::subscribe::{SubscribeError, Subscribing};
use common::domain::calendar::Cycle;
use common::domain::registration::Registration;
use common::domain::validated::{AuthKey, CustomerKey, EmailAddress, PersonName, PlanCode, PositiveWon};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::payment_method::wait_for_card;
use crate::answers::{Confirmed, Processing, answer_registration};
use crate::app::{App, retry_lost_race};
use crate::caller::Buyer;
use crate::error::ApiError;
use crate::request::JsonBody;

/// What the registration window brought back, and what is bought. The price is the plan's. Other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscribeBody {
    /// From the registration window's success URL; good once.
    #[schema(value_type = String, min_length = 1, max_length = 300)]
    auth_key: AuthKey,
    /// Under which the registration window was opened.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_=.@-]{2,50}$")]
    customer_key: CustomerKey,
    #[schema(value_type = String, example = "personal")]
    plan: PlanCode,
    /// `monthly` or `yearly`.
    #[schema(value_type = String, pattern = "^(monthly|yearly)$", example = "monthly")]
    billing_cycle: Cycle,
    /// Whole won that the customer was shown. Give it: a price that has been changed since is then not charged.
    #[schema(value_type = Option<i32>, minimum = 100, example = 9900)]
    amount: Option<PositiveWon>,
    #[schema(value_type = String, format = Email, max_length = 254, example = "user@example.com")]
    customer_email: EmailAddress,
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "홍길동")]
    customer_name: PersonName,
}

impl SubscribeBody {
    fn into_command(self, user_id: Uuid) -> Subscribing {
        Subscribing {
            user_id,
            auth_key: self.auth_key.into(),
            customer_key: self.customer_key.into(),
            plan: self.plan.into(),
            cycle: self.billing_cycle,
            amount: self.amount.map(PositiveWon::won),
            customer_email: self.customer_email.into(),
            customer_name: self.customer_name.into(),
        }
    }
}

/// Registers a card and charges the first period with it. The same `authKey` again is one subscription and the same answer.
///
/// After 402 the subscription named in the answer is `incomplete`: another card, registered within 23 hours, pays for it.
#[utoipa::path(
    post, path = "/api/subscriptions", tag = "subscriptions", request_body = SubscribeBody,
    security(("customer" = [])),
    responses(
        (status = 200, description = "Paid; the subscription is active", body = Confirmed),
        (status = 202, description = "On record, not settled yet: ask `statusUrl`", body = Processing),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 402, description = "`payment_declined` or `card_refused` with Toss's code, and `subscriptionId`"),
        (status = 409, description = "`already_subscribed` with `subscriptionId` and `nextAction`: nothing is sent to Toss; `auth_key_used`: for something else; or `payment_canceled`"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`, `amount_mismatch`: the field is named, nothing is written"),
        (status = 429, description = "Too many requests of one user"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    buyer: Buyer,
    JsonBody(body): JsonBody<SubscribeBody>,
) -> Result<Response, ApiError> {
    let command = body.into_command(buyer.id);
    let is_allowed = app.purchases.check_distinct(buyer.id, &command.auth_key, Instant::now());
    is_allowed.map_err(ApiError::too_many_requests)?;
    // Subscribed before the commit: even the fastest worker's announcement is received.
    let subscription = app.settlements.subscribe();
    let recorded = record(&app, &command).await?;
    answer_registration(&app, wait_for_card(&app, subscription, recorded).await).await
}

/// Records subscription, invoice, registration and jobs, or finds what an equal request recorded.
async fn record(app: &App, command: &Subscribing) -> Result<Registration, SubscribeError> {
    let lost_race =
        |error: &SubscribeError| matches!(error, SubscribeError::Register(RegisterError::AuthKeyTaken));
    let now = app.clock.now();
    retry_lost_race(lost_race, || app.transaction(async |tx| subscribe::subscribe(tx, command, now).await))
        .await
}
