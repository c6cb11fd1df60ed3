//! `POST /api/subscriptions`: subscribes with a card from the registration window, waits a little, answers what became of it.

use std::{sync::Arc, time::Instant};

use axum::{extract::State, response::Response};
use common::{
    commands::{
        register_card::RegisterError,
        subscribe::{SubscribeError, Subscribing, subscribe as record_wish},
    },
    domain::registration::Registration,
    store::StoreError,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::{Confirmed, Processing},
    answer_card::answer,
    app::App,
    auth::Customer,
    body::Fields,
    error::ApiError,
    input,
    settlements::until_registered,
};

/// What the registration window brought back, and what is bought. The price is the plan's. Other fields are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct SubscribeBody {
    /// From the registration window's success URL; good once.
    #[schema(min_length = 1, max_length = 300)]
    auth_key: String,
    /// Under which the registration window was opened.
    #[schema(pattern = "^[A-Za-z0-9_=.@-]{2,50}$")]
    customer_key: String,
    #[schema(example = "personal")]
    plan: String,
    /// `monthly` or `yearly`.
    #[schema(pattern = "^(monthly|yearly)$", example = "monthly")]
    billing_cycle: String,
    /// Whole won that the customer was shown. Give it: a price that has been changed since is then not charged.
    #[schema(minimum = 100, example = 9900)]
    amount: Option<i32>,
    #[schema(format = Email, max_length = 254, example = "user@example.com")]
    customer_email: String,
    #[schema(min_length = 1, max_length = 100, example = "홍길동")]
    customer_name: String,
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
        (status = 409, description = "`auth_key_used`: for something else; or `payment_canceled`"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`, `amount_mismatch`: the field is named, nothing is written"),
        (status = 429, description = "Too many requests of one user"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    customer: Customer,
    body: Fields,
) -> Result<Response, ApiError> {
    app.confirmations
        .admit(customer.id, Instant::now())
        .map_err(|again_in| ApiError::TooManyRequests { again_in })?;
    let asked = read(&body, customer.id)?;
    // Before the commit, so that not even the fastest worker's news is missed.
    let heard = app.settlements.subscribe();
    let recorded = record(&app, &asked).await?;
    answer(&app, until_registered(&app, heard, recorded).await).await
}

fn read(body: &Fields, user_id: Uuid) -> Result<Subscribing, ApiError> {
    Ok(Subscribing {
        user_id,
        auth_key: input::auth_key(body)?,
        customer_key: input::own_customer_key(body)?,
        plan: input::plan(body)?,
        cycle: input::billing_cycle(body)?,
        amount: input::optional_amount(body)?,
        customer_email: input::customer_email(body)?,
        customer_name: input::customer_name(body)?,
    })
}

/// Of two requests with one key at the same moment one inserts; the other starts over and finds what it inserted.
async fn record(app: &App, asked: &Subscribing) -> Result<Registration, ApiError> {
    let recorded = match record_once(app, asked).await {
        Err(SubscribeError::Register(RegisterError::AuthKeyTaken)) => record_once(app, asked).await,
        other => other,
    };
    recorded.map_err(ApiError::from)
}

/// Subscription, invoice, registration and jobs exist on commit, or none of them.
async fn record_once(app: &App, asked: &Subscribing) -> Result<Registration, SubscribeError> {
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let recorded = record_wish(&mut tx, asked, app.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(recorded)
}
