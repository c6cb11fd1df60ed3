//! `POST /api/subscriptions/{id}/payment-method`: a new card; what is open is charged with it at once.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use common::{
    commands::register_card::{NewCard, RegisterError, register_card as register},
    domain::registration::Registration,
    id::parse_subscription_ref,
    store::StoreError,
};
use utoipa::ToSchema;

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

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct NewCardBody {
    /// From the registration window's success URL; good once.
    #[schema(min_length = 1, max_length = 300)]
    auth_key: String,
    /// Under which the registration window was opened; must be the subscription's own.
    #[schema(pattern = "^[A-Za-z0-9_=.@-]{2,50}$")]
    customer_key: String,
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
    body: Fields,
) -> Result<Response, ApiError> {
    let auth_key = input::auth_key(&body)?;
    let customer_key = input::own_customer_key(&body)?;
    let subscription_id = parse_subscription_ref(&id).ok_or(ApiError::NotFound)?;
    let card =
        NewCard { subscription_id, user_id: customer.id, auth_key: &auth_key, customer_key: &customer_key };
    // Before the commit, so that not even the fastest worker's news is missed.
    let heard = app.settlements.subscribe();
    let recorded = record(&app, card).await?;
    answer(&app, until_registered(&app, heard, recorded).await).await
}

/// Registration and job exist on commit, or neither.
async fn record(app: &App, card: NewCard<'_>) -> Result<Registration, RegisterError> {
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let recorded = register(&mut tx, card, app.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(recorded)
}
