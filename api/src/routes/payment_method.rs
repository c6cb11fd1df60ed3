//! `POST /api/subscriptions/{id}/payment-method`: a new card; what is open is charged with it at once.
//! `GET /api/subscriptions/{id}/payment-method`: the same answer, later.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use common::commands::register_card;
use common::commands::register_card::NewCard;
use common::domain::registration::Registration;
use common::domain::validated::{AuthKey, RecordedCustomerKey};
use common::id::parse_subscription_ref;
use common::store::registrations;
use serde::Deserialize;
use utoipa::ToSchema;

use super::subscriptions::find_own;
use crate::answers::{Confirmed, Processing, answer_registration};
use crate::app::App;
use crate::caller::Customer;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::request::JsonBody;
use crate::settlements::SettlementSubscription;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewCardBody {
    /// From the registration window's success URL; good once.
    #[schema(value_type = String, min_length = 1, max_length = 300)]
    auth_key: AuthKey,
    /// Under which the registration window was opened; must be the subscription's own.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_=.@-]{2,255}$")]
    customer_key: RecordedCustomerKey,
}

/// Registers a new card. The old one stays in force until the new one is proven. The same `authKey` again is one
/// registration and the same answer.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/payment-method", tag = "subscriptions", request_body = NewCardBody,
    security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "The new card is in force; what was open is paid with it", body = Confirmed),
        (status = 202, description = "On record, not settled yet: ask `statusUrl`", body = Processing),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 402, description = "`payment_declined` or `card_refused` with Toss's code: the old card stays"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 409, description = "`already_canceled`, `not_active`, `registration_in_progress`, `auth_key_used`, `payment_canceled`"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`: also a customer key that is not the subscription's"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn register_card(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<NewCardBody>,
) -> Result<Response, ApiError> {
    let card = NewCard {
        subscription_id: parse_subscription_ref(&id).ok_or(Problem::NotFound)?,
        user_id: customer.id,
        auth_key: body.auth_key.as_str(),
        customer_key: body.customer_key.as_str(),
    };
    let now = app.clock.now();
    // Subscribed before the commit: even the fastest worker's announcement is received.
    let subscription = app.settlements.subscribe();
    let recorded = app.transaction(async |tx| register_card::register_card(tx, card, now).await).await?;
    answer_registration(&app, wait_for_card(&app, subscription, recorded).await).await
}

/// Waits for the registration, which is announced by its id.
pub(super) async fn wait_for_card(
    app: &App,
    subscription: SettlementSubscription,
    recorded: Registration,
) -> Registration {
    let id = recorded.id;
    let read = || async {
        let mut conn = app.pool.acquire().await?;
        registrations::find(&mut conn, id).await
    };
    let is_unfinished = Registration::is_unfinished;
    app.settlements.wait_until_settled(subscription, &id.to_string(), recorded, is_unfinished, read).await
}

/// What became of the card that was registered last for one of the customer's subscriptions.
#[utoipa::path(
    get, path = "/api/subscriptions/{id}/payment-method", tag = "subscriptions", security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "The card is in force; what was open is paid with it", body = Confirmed),
        (status = 202, description = "On record, not settled yet: ask again", body = Processing),
        (status = 401, description = "No valid token"),
        (status = 402, description = "`payment_declined` or `card_refused` with Toss's code"),
        (status = 404, description = "No such subscription, or somebody else's, or no card was registered for it"),
        (status = 409, description = "`payment_canceled`: the subscription was canceled meanwhile"),
        (status = 503, description = "The database is away"),
    )
)]
pub(crate) async fn payment_method_status(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let subscription = find_own(&mut conn, &customer, &id).await?;
    let card = registrations::latest_of(&mut conn, subscription.id).await?.ok_or(Problem::NotFound)?;
    drop(conn);
    answer_registration(&app, card).await
}
