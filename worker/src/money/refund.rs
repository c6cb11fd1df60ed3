//! One step of one refund: commit that it is sent, ask the gateway, record what it said. Unknown is sent again under
//! the same key, which the gateway answers from memory; after 14 days a person decides.

use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    domain::{
        attempt::{Attempt, KEY_LIFETIME},
        refund::{Refund, RefundStatus},
    },
    id::{new_key, subscription_ref},
    store::{
        events::{self, Entry},
        payments, refunds, subscriptions,
    },
};
use sqlx::PgConnection;
use toss::{Account, CancelOutcome, CancelRequest, IdempotencyKey};
use uuid::Uuid;

use super::{alarm, gate, letters, record::RecordError};
use crate::{crash, env::Env};

/// Moves one refund on by at most one call.
#[tracing::instrument(name = "money.refund", skip_all, fields(refund.id = %refund_id, payment.id))]
pub(crate) async fn advance_refund(env: &Env, lease: &Lease, refund_id: Uuid) -> Result<Ran, JobError> {
    if let Some(finish) = gate::closed(env).await? {
        return Ok(Ran::Finish(finish));
    }
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let Some(refund) = refunds::lock(&mut tx, refund_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the refund does not exist".into())));
    };
    match refund.status {
        RefundStatus::Completed | RefundStatus::Failed => {
            return Ok(Ran::Finish(Finish::Discard("the refund is settled".into())));
        }
        RefundStatus::Pending | RefundStatus::Unknown => {}
    }
    let Some(payment) = payments::find(&mut tx, refund.payment_id).await? else {
        return Err(JobError::new("a refund of a payment that does not exist"));
    };
    tracing::Span::current().record("payment.id", tracing::field::display(payment.id));
    if refund.first_sent_at.is_some_and(|first| now - first >= KEY_LIFETIME) {
        alarm::raise("refund_unknown");
        let error = "unknown for 14 days; its key has expired: look the payment up at Toss by hand";
        return Ok(Ran::Finish(Finish::Fail(error.into())));
    }
    let back = refunds::completed_of(&mut tx, payment.id).await?;
    refunds::mark_sent(&mut tx, refund.id, now).await?;
    tx.commit().await?;
    crash::point("after_refund_intent");
    let left = payment.amount.less(back).unwrap_or(common::domain::money::Won::ZERO);
    let answer = ask(env, &payment, &refund, i64::from(left.get())).await?;
    crash::point("after_refund_call");
    record(env, lease, &refund, &payment, answer).await
}

async fn ask(env: &Env, payment: &Attempt, refund: &Refund, left: i64) -> Result<CancelOutcome, JobError> {
    let key = IdempotencyKey::new(refund.idempotency_key.to_string())?;
    let payment_key = payment.payment_key.as_deref().unwrap_or_default();
    let account = match payment.kind {
        common::domain::attempt::PaymentKind::First => Account::Widget,
        common::domain::attempt::PaymentKind::Renewal => Account::Billing,
    };
    let request = CancelRequest {
        reason: refund.reason.clone(),
        amount: Some(i64::from(refund.amount.get())),
        // What we believe is left: if money went back behind our back, nothing is cancelled.
        refundable_amount: Some(left),
    };
    let answer = env.toss.cancel(account, payment_key, &request, &key).await;
    Ok(if refund.first_sent_at.is_some() { answer.of_resend() } else { answer })
}

async fn record(
    env: &Env,
    lease: &Lease,
    refund: &Refund,
    payment: &Attempt,
    answer: CancelOutcome,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    // The payment's and the subscription's rows are locked in the one order that everything uses.
    let subscription = subscriptions::lock(&mut tx, payment.subscription_id).await?;
    let subscription = subscription.ok_or(RecordError::Vanished)?;
    let finish = match answer {
        CancelOutcome::Canceled(after) => {
            let made = after.cancels.last();
            let transaction = made.and_then(|cancel| cancel.transaction_key.as_deref());
            refunds::complete(&mut tx, refund.id, transaction, after.trace_id.as_deref(), now).await?;
            let whole = refunds::completed_of(&mut tx, payment.id).await? >= payment.amount;
            payments::mark_refunded(&mut tx, payment.id, whole).await?;
            let entry = Entry { actor: &refund.requested_by, what: "payment.refunded", why: &refund.reason };
            events::append(&mut tx, &subscription, entry, now).await?;
            letters::refunded(env, &mut tx, &subscription, refund, whole, now).await?;
            Finish::Done(Some(format!("{} went back", refund.amount)))
        }
        CancelOutcome::Refused(refusal) => {
            let (code, message) = (refusal.code.as_str(), refusal.message.as_str());
            refunds::fail(&mut tx, refund.id, code, message, refusal.trace_id.as_deref(), now).await?;
            alarm::raise("refund_refused");
            tracing::error!(refund.id = %refund.id, toss.code = code, subscription.id = %subscription_ref(subscription.id), "a refund was refused");
            Finish::Fail(format!("refused: {code} {message}"))
        }
        CancelOutcome::NotAttempted(reason) => {
            let fresh = reason.key_is_burnt.then(new_key);
            let code = reason.code.as_ref().map(toss::Code::as_str);
            refunds::not_attempted(&mut tx, refund.id, code, &reason.message, fresh).await?;
            Finish::Snooze {
                reason: format!("not attempted: {} {}", code.unwrap_or("no answer"), reason.message),
                run_at: now + TimeDelta::minutes(5),
            }
        }
        CancelOutcome::Unknown(why) => snooze_unknown(&mut tx, refund, &why, now).await?,
    };
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}

async fn snooze_unknown(
    conn: &mut PgConnection,
    refund: &Refund,
    why: &toss::Why,
    now: DateTime<Utc>,
) -> Result<Finish, RecordError> {
    let code = why.code.as_ref().map(toss::Code::as_str);
    refunds::unknown(conn, refund.id, code, &why.message, now).await?;
    let waited = refund.unknown_since.map_or(TimeDelta::zero(), |since| now - since);
    let pause = (waited / 2).clamp(TimeDelta::seconds(75), TimeDelta::hours(1));
    let reason = format!("unknown outcome, sent again under the same key: {}", why.message);
    Ok(Finish::Snooze { reason, run_at: now + pause })
}
