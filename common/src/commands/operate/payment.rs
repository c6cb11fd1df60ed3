//! Actions on a payment: a look-up at once, and a refund.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::{ActionError, ActionRequest};
use crate::commands::refund::{RefundRequest, request_refund};
use crate::commands::wake_payment::{Woken, wake_payment};
use crate::domain::action::{Effect, Refusal, Target};
use crate::domain::money::Won;
use crate::domain::payment::Payment;
use crate::store::payments;

/// Toss: `cancelReason`.
pub(super) const MAX_GATEWAY_REASON: usize = 200;

/// Has the payment's own job ask the gateway now. A job that was lost is made anew.
pub(super) async fn look_up(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let payment = find(conn, id).await?;
    match (payment.is_unfinished(), payment.sent_at) {
        (false, _) => return Err(Refusal::PaymentSettled.into()),
        (true, None) => return Err(Refusal::PaymentNotSent.into()),
        (true, Some(_)) => {}
    }
    let job = match wake_payment(conn, &payment, request.actor.as_str(), now).await? {
        Woken::Job(job) => Some(job),
        Woken::Busy => None,
    };
    Ok(vec![Effect::GatewayIsAsked { order_id: payment.order_id, job }])
}

pub(super) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Payment, ActionError> {
    payments::find(conn, id).await?.ok_or(ActionError::NotFound(Target::Payment(id)))
}

pub(super) async fn refund(
    conn: &mut PgConnection,
    payment_id: Uuid,
    amount: Option<Won>,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let reason = gateway_reason(request)?;
    let command =
        RefundRequest { payment_id, amount, reason, key: request.key, actor: request.actor.as_str() };
    let requested = request_refund(conn, command, now)
        .await
        .map_err(|error| ActionError::of_refund(error, Target::Payment(payment_id)))?;
    Ok(vec![
        Effect::MoneyGoesBack { amount: requested.amount, refund_id: requested.id },
        Effect::CustomerIsMailed,
    ])
}

/// The reason of a refund, which the gateway and the customer read.
pub(super) fn gateway_reason<'a>(request: &ActionRequest<'a>) -> Result<&'a str, ActionError> {
    let reason = request.reason.as_str();
    if reason.chars().count() > MAX_GATEWAY_REASON { Err(Refusal::ReasonTooLong.into()) } else { Ok(reason) }
}
