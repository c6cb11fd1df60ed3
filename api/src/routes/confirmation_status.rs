//! `GET /api/payments/confirm/{orderId}`: the same answer as the confirmation's, later.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use common::{domain::payment::PaymentKind, store::payments};

use crate::{
    answer::{Confirmed, Processing, answer},
    app::App,
    auth::Customer,
    error::ApiError,
    input::is_order_id,
};

/// What became of a confirmation.
#[utoipa::path(
    get, path = "/api/payments/confirm/{orderId}", tag = "payments", security(("customer" = [])),
    params(("orderId" = String, Path, description = "As it was confirmed")),
    responses(
        (status = 200, description = "Paid; the subscription is active", body = Confirmed),
        (status = 202, description = "On record, not settled yet: ask again", body = Processing),
        (status = 401, description = "No valid token"),
        (status = 402, description = "Declined: `payment_declined` with Toss's code"),
        (status = 404, description = "No such order, or somebody else's"),
        (status = 409, description = "`payment_canceled`: withdrawn before the bank was asked"),
        (status = 503, description = "The database is away"),
    )
)]
pub(crate) async fn confirmation_status(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(order_id): Path<String>,
) -> Result<Response, ApiError> {
    if !is_order_id(&order_id) {
        return Err(ApiError::NotFound);
    }
    let found = payments::find_by_order(&mut *app.pool.acquire().await?, &order_id).await?;
    let is_theirs = |it: &_| is_confirmation_of(it, customer.id);
    answer(&app, found.filter(is_theirs).ok_or(ApiError::NotFound)?).await
}

fn is_confirmation_of(attempt: &common::domain::payment::Payment, user_id: uuid::Uuid) -> bool {
    attempt.kind == PaymentKind::First && attempt.user_id == user_id
}
