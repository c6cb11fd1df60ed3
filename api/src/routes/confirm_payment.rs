//! `POST /api/payments/confirm`: records what the payment window brought back, waits a little, answers what became of it.
//! `GET /api/payments/confirm/{orderId}`: the same answer, later.

use std::{sync::Arc, time::Instant};

use axum::extract::{Path, State};
use axum::response::Response;
use common::commands::confirm::{ConfirmError, Confirmation, record_confirmation};
use common::domain::calendar::Cycle;
use common::domain::payment::{Payment, PaymentKind};
use common::domain::validated::{
    CustomerKey, EmailAddress, OrderId, PaymentKey, PersonName, PlanCode, PositiveWon,
};
use common::store::payments;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answers::{Confirmed, Unsettled, answer_payment};
use crate::app::{App, retry_lost_race};
use crate::caller::{Buyer, Customer};
use crate::error::ApiError;
use crate::problem::Problem;
use crate::request::JsonBody;

/// What the payment window brought back, and what was bought. Other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmBody {
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "tviva20241023135713hH8Fq")]
    payment_key: PaymentKey,
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{6,64}$", example = "ORDER_1729657033847")]
    order_id: OrderId,
    /// Won; must be the plan's price.
    #[schema(value_type = i32, minimum = 1, example = 94800)]
    amount: PositiveWon,
    #[schema(value_type = String, format = Email, max_length = 254, example = "user@example.com")]
    customer_email: EmailAddress,
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "홍길동")]
    customer_name: PersonName,
    #[schema(value_type = String, example = "personal")]
    plan: PlanCode,
    /// `monthly` or `yearly`.
    #[schema(value_type = String, pattern = "^(monthly|yearly)$", example = "yearly")]
    billing_cycle: Cycle,
    /// Under which the payment window was opened; the user id when left out.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_=.@-]{2,50}$")]
    customer_key: Option<CustomerKey>,
}

impl ConfirmBody {
    fn into_confirmation(self, user_id: Uuid) -> Confirmation {
        Confirmation {
            user_id,
            payment_key: self.payment_key.into(),
            order_id: self.order_id.into(),
            amount: self.amount.won(),
            customer_email: self.customer_email.into(),
            customer_name: self.customer_name.into(),
            plan: self.plan.into(),
            cycle: self.billing_cycle,
            customer_key: self.customer_key.map_or_else(|| user_id.to_string(), String::from),
        }
    }
}

/// Confirms the first payment of a new subscription. The same order again is one payment and the same answer.
#[utoipa::path(
    post, path = "/api/payments/confirm", tag = "payments", request_body = ConfirmBody,
    security(("customer" = [])),
    responses(
        (status = 200, description = "Paid; the subscription is active", body = Confirmed),
        (status = 202, description = "`processing`: on record, not settled yet, ask `statusUrl`; `waiting_for_deposit`: the buyer is to pay into `virtualAccount`", body = Unsettled),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 402, description = "Declined: `payment_declined` with Toss's code"),
        (status = 409, description = "`already_subscribed` with `subscriptionId` and `nextAction`: nothing is sent to Toss; `order_conflict`: same order, other content; or `payment_canceled`"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`, `amount_mismatch`: the field is named, nothing is written"),
        (status = 429, description = "Too many confirmations of one user"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn confirm_payment(
    State(app): State<Arc<App>>,
    buyer: Buyer,
    JsonBody(body): JsonBody<ConfirmBody>,
) -> Result<Response, ApiError> {
    let confirmation = body.into_confirmation(buyer.id);
    let is_allowed = app.purchases.check_distinct(buyer.id, &confirmation.order_id, Instant::now());
    is_allowed.map_err(ApiError::too_many_requests)?;
    // Subscribed before the commit: even the fastest worker's announcement is received.
    let subscription = app.settlements.subscribe();
    let recorded = record(&app, &confirmation).await?;
    let (id, order_id) = (recorded.id, recorded.order_id.clone());
    let read = || async {
        let mut conn = app.pool.acquire().await?;
        payments::find(&mut conn, id).await
    };
    let payment =
        app.settlements.wait_until_settled(subscription, &order_id, recorded, is_worth_waiting, read).await;
    answer_payment(&app, payment).await
}

/// A deposit comes in hours, not in seconds.
fn is_worth_waiting(payment: &Payment) -> bool {
    payment.is_unfinished() && payment.deposit_due_at.is_none()
}

/// Records subscription, invoice, payment and job, or finds what an equal request recorded.
async fn record(app: &App, confirmation: &Confirmation) -> Result<Payment, ConfirmError> {
    let lost_race = |error: &ConfirmError| match error {
        ConfirmError::Store(error) => {
            matches!(error.constraint(), Some("payments_order_id_key" | "subscriptions_one_living_per_user"))
        }
        _ => false,
    };
    let now = app.clock.now();
    retry_lost_race(lost_race, || {
        app.transaction(async |tx| record_confirmation(tx, confirmation, now).await)
    })
    .await
}

/// What became of a confirmation.
#[utoipa::path(
    get, path = "/api/payments/confirm/{orderId}", tag = "payments", security(("customer" = [])),
    params(("orderId" = String, Path, description = "As it was confirmed")),
    responses(
        (status = 200, description = "Paid; the subscription is active", body = Confirmed),
        (status = 202, description = "`processing`: on record, not settled yet, ask again; `waiting_for_deposit`: the buyer is to pay into `virtualAccount`", body = Unsettled),
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
    let order_id = OrderId::try_from(order_id).map_err(|_| Problem::NotFound)?;
    let found = payments::find_by_order(&mut *app.pool.acquire().await?, order_id.as_str()).await?;
    let is_own = |payment: &Payment| payment.kind == PaymentKind::First && payment.user_id == customer.id;
    answer_payment(&app, found.filter(is_own).ok_or(Problem::NotFound)?).await
}
