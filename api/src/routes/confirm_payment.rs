//! `POST /api/payments/confirm`: records what the payment window brought back, waits a little, answers what became of it.

use std::{sync::Arc, time::Instant};

use axum::{extract::State, response::Response};
use common::{
    commands::confirm::{ConfirmError, Confirmation, record_confirmation},
    domain::payment::Payment,
    store::StoreError,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::{Confirmed, Processing, answer},
    app::App,
    auth::Customer,
    body::Fields,
    error::ApiError,
    input,
    settlements::until_settled,
};

/// What the payment window brought back, and what was bought. Other fields are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct ConfirmBody {
    #[schema(min_length = 1, max_length = 200, example = "tviva20241023135713hH8Fq")]
    payment_key: String,
    #[schema(pattern = "^[A-Za-z0-9_-]{6,64}$", example = "ORDER_1729657033847")]
    order_id: String,
    /// Won; must be the plan's price.
    #[schema(minimum = 1, example = 94800)]
    amount: i32,
    #[schema(format = Email, max_length = 254, example = "user@example.com")]
    customer_email: String,
    #[schema(min_length = 1, max_length = 100, example = "홍길동")]
    customer_name: String,
    #[schema(example = "personal")]
    plan: String,
    /// `monthly` or `yearly`.
    #[schema(pattern = "^(monthly|yearly)$", example = "yearly")]
    billing_cycle: String,
    /// Under which the payment window was opened; the user id when left out.
    #[schema(pattern = "^[A-Za-z0-9_=.@-]{2,50}$")]
    customer_key: Option<String>,
}

/// Confirms the first payment of a new subscription. The same order again is one payment and the same answer.
#[utoipa::path(
    post, path = "/api/payments/confirm", tag = "payments", request_body = ConfirmBody,
    security(("customer" = [])),
    responses(
        (status = 200, description = "Paid; the subscription is active", body = Confirmed),
        (status = 202, description = "On record, not settled yet: ask `statusUrl`", body = Processing),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 402, description = "Declined: `payment_declined` with Toss's code"),
        (status = 409, description = "`order_conflict`: same order, other content; or `payment_canceled`"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`, `amount_mismatch`: the field is named, nothing is written"),
        (status = 429, description = "Too many confirmations of one user"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn confirm_payment(
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
    let attempt = record(&app, &asked).await?;
    answer(&app, until_settled(&app, heard, attempt).await).await
}

fn read(body: &Fields, user_id: Uuid) -> Result<Confirmation, ApiError> {
    Ok(Confirmation {
        user_id,
        payment_key: input::payment_key(body)?,
        order_id: input::order_id(body)?,
        amount: input::amount(body)?,
        customer_email: input::customer_email(body)?,
        customer_name: input::customer_name(body)?,
        plan: input::plan(body)?,
        cycle: input::billing_cycle(body)?,
        customer_key: input::customer_key(body)?.unwrap_or_else(|| user_id.to_string()),
    })
}

/// Of two requests for one order at the same moment one inserts; the other starts over and finds what it inserted.
async fn record(app: &App, asked: &Confirmation) -> Result<Payment, ApiError> {
    let first = record_once(app, asked).await;
    let recorded = match first {
        Err(ConfirmError::Store(error)) if error.constraint() == Some("payments_order_id_key") => {
            record_once(app, asked).await
        }
        other => other,
    };
    recorded.map_err(ApiError::from)
}

/// Subscription, invoice, payment and job exist on commit, or none of them.
///
/// A commit whose answer is lost may have happened: the caller gets 503, and a repeat of the same order finds it.
async fn record_once(app: &App, asked: &Confirmation) -> Result<Payment, ConfirmError> {
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let attempt = record_confirmation(&mut tx, asked, app.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(attempt)
}
