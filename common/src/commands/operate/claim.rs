//! Actions on a payment that needs review: an operator says what became of it, and the worker asks the gateway.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::payment::find;
use super::request::{ActionError, ActionRequest};
use crate::domain::action::{Effect, Refusal};
use crate::domain::claim::{Claim, ClaimState};
use crate::domain::payment::Payment;
use crate::id::new_id;
use crate::jobs;
use crate::jobs::CheckPaymentClaim;
use crate::store::payment_claims;
use crate::store::payment_claims::NewClaim;

/// Records the claim and the job that asks the gateway. Nothing is settled here.
pub(super) async fn claim(
    conn: &mut PgConnection,
    payment_id: Uuid,
    (claim, payment_key): (Claim, Option<&str>),
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let payment = find(conn, payment_id).await?;
    refuse_unless_in_review(&payment, now)?;
    if payment_claims::open_of(conn, payment_id).await?.is_some() {
        return Err(Refusal::ClaimIsOpen.into());
    }
    let id = new_id(now);
    let new = NewClaim {
        id,
        payment_id,
        claim,
        payment_key,
        proposed_by: request.actor.as_str(),
        reason: request.reason.as_str(),
    };
    payment_claims::insert(conn, &new, now).await?;
    enqueue(conn, id, &payment, now).await?;
    Ok(vec![match claim {
        Claim::Paid => Effect::PaidIsChecked { order_id: payment.order_id },
        Claim::NotPaid => Effect::NotPaidIsChecked { order_id: payment.order_id },
    }])
}

/// A second operator agrees that the payment was not made, where the gateway cannot tell.
pub(super) async fn agree_not_paid(
    conn: &mut PgConnection,
    payment_id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let payment = find(conn, payment_id).await?;
    refuse_unless_in_review(&payment, now)?;
    let open = payment_claims::open_of(conn, payment_id).await?;
    let Some(open) = open.filter(|open| open.state == <&str>::from(ClaimState::NeedsAgreement)) else {
        return Err(Refusal::NothingToAgree.into());
    };
    // The schema refuses it, too.
    if open.proposed_by == request.actor.as_str() {
        return Err(Refusal::SameOperator.into());
    }
    payment_claims::agree(conn, open.id, request.actor.as_str(), now).await?;
    enqueue(conn, open.id, &payment, now).await?;
    Ok(vec![Effect::PaymentIsGivenUp { order_id: payment.order_id }])
}

fn refuse_unless_in_review(payment: &Payment, now: DateTime<Utc>) -> Result<(), Refusal> {
    match (payment.is_unfinished(), payment.is_for_review(now)) {
        (false, _) => Err(Refusal::PaymentSettled),
        (true, false) => Err(Refusal::NotInReview),
        (true, true) => Ok(()),
    }
}

async fn enqueue(
    conn: &mut PgConnection,
    claim_id: Uuid,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<(), ActionError> {
    let Payment { id, subscription_id, .. } = *payment;
    let job = CheckPaymentClaim { claim_id, payment_id: id, subscription_id };
    jobs::enqueue(conn, &job, now, now).await?;
    Ok(())
}
