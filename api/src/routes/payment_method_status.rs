//! `GET /api/subscriptions/{id}/payment-method`: the same answer as the registration's, later.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use common::store::registrations;

use super::show_subscription::own;
use crate::{
    answer::{Confirmed, Processing},
    answer_card::answer,
    app::App,
    auth::Customer,
    error::ApiError,
};

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
    let subscription = own(&mut conn, &customer, &id).await?;
    let card = registrations::latest_of(&mut conn, subscription.id).await?.ok_or(ApiError::NotFound)?;
    drop(conn);
    answer(&app, card).await
}
