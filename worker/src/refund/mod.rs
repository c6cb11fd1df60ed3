//! One step of one refund: commit that it is sent, ask the gateway, record what it said. An unknown one is looked for
//! among the payment's cancels, and only when it is not there sent again under the same key; what is not there after 14
//! days has failed, and a person decides.
//!
//! What a death leaves behind, line by line: before the intent's commit, a refund that was not sent; from then until the
//! outcome's commit, one that looks sent, so it is looked for first, and what is sent again carries the old key and the
//! amount that must still be left: the gateway cannot make it twice. After that commit nothing is left to do.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    domain::{
        payment::{KEY_LIFETIME, Payment, REVIEW_AFTER},
        refund::{Refund, RefundStatus},
        subscription::Subscription,
    },
    id::{new_key, subscription_ref},
    jobs::RefundPayment,
    store::{
        events::{self, Entry, Settled},
        payments, refunds, subscriptions,
    },
};
use sqlx::PgConnection;
use toss::{Account, CancelOutcome, CancelRequest, IdempotencyKey, LookupOutcome, ReasonKind};

use crate::{
    crash,
    env::{Env, raise_alarm},
    error::SettleError,
    gateway::{
        health::{self, Permit, Purpose},
        reads::account_of,
    },
    notifications,
};

pub(crate) mod external;

/// Moves one refund on by at most one call.
#[tracing::instrument(name = "refund.refund_payment", skip_all, fields(refund.id = %job.refund_id, payment.id))]
pub(crate) async fn refund_payment(
    job: RefundPayment,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let (env, lease, refund_id) = (&*env, &lease, job.refund_id);
    if let Permit::Later(finish) = health::check_gateway(env, Purpose::Other).await? {
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
    let key_is_dead = refund.first_sent_at.is_some_and(|first| now - first >= KEY_LIFETIME);
    let back = refunds::completed_of(&mut tx, payment.id).await?;
    let booked = refunds::transactions_of(&mut tx, payment.id).await?;
    if !key_is_dead {
        refunds::mark_sent(&mut tx, refund.id, now).await?;
    }
    tx.commit().await?;
    crash::point("after_refund_intent");
    let left = payment.amount.less(back).unwrap_or(common::domain::money::Won::ZERO);
    let call = Call { env, payment: &payment, refund: &refund, left: left.get().into(), booked: &booked };
    let answer = if key_is_dead { call.look_for_it().await } else { Some(call.answer().await?) };
    crash::point("after_refund_call");
    match answer {
        Some(answer) => record(env, lease, &refund, &payment, answer).await,
        None => never_made(env, lease, &refund, &payment).await,
    }
}

/// After all this time the gateway does not list it, and its key would not keep a second one from being made: nothing
/// went back, and it is asked for anew or not at all.
async fn never_made(env: &Env, lease: &Lease, refund: &Refund, payment: &Payment) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    subscriptions::lock(&mut tx, payment.subscription_id).await?.ok_or(SettleError::Vanished)?;
    let why = "unknown for 14 days, and Toss does not list it: nothing went back";
    refunds::fail(&mut tx, refund.id, None, why, None, now).await?;
    common::store::announce_settled(&mut tx, &refund.id.to_string()).await?;
    raise_alarm("refund_unknown");
    tracing::error!(refund.id = %refund.id, payment.id = %payment.id, why);
    Ok(Ran::Committed(lease.commit(tx, Finish::Fail(why.into()), now).await?))
}

/// All that asking about one refund takes.
struct Call<'a> {
    env: &'a Env,
    payment: &'a Payment,
    refund: &'a Refund,
    /// Won that we believe is left to cancel.
    left: i64,
    /// The gateway's names for the refunds of this payment that are in our books.
    booked: &'a [String],
}

impl Call<'_> {
    async fn answer(&self) -> Result<CancelOutcome, JobError> {
        // Taken back as certainly not made, it is sent as if for the first time.
        if self.refund.sent_at.is_none() {
            return self.send().await;
        }
        if let Some(known) = self.look_for_it().await {
            return Ok(known);
        }
        self.env.rate_limiter.acquire(&self.env.pool).await?;
        match self.send().await?.of_resend() {
            // Perhaps refused only because the first sending has landed meanwhile.
            CancelOutcome::Refused(refusal) => {
                Ok(self.look_for_it().await.unwrap_or(CancelOutcome::Refused(refusal)))
            }
            other => Ok(other),
        }
    }

    async fn send(&self) -> Result<CancelOutcome, JobError> {
        let key = IdempotencyKey::new(self.refund.idempotency_key.to_string())?;
        let request = CancelRequest {
            reason: self.refund.reason.clone(),
            amount: Some(self.refund.amount.get().into()),
            // What we believe is left: if money went back behind our back, nothing is cancelled.
            refundable_amount: Some(self.left),
        };
        Ok(self.env.toss.cancel(self.account(), self.payment_key(), &request, &key).await)
    }

    /// None: the payment has no such cancel.
    async fn look_for_it(&self) -> Option<CancelOutcome> {
        match self.env.toss.payment_by_key(self.account(), self.payment_key()).await {
            LookupOutcome::Found(mut after) => {
                let place = after.cancels.iter().position(|cancel| self.is_ours(cancel))?;
                after.cancels.truncate(place.saturating_add(1));
                Some(CancelOutcome::Canceled(after))
            }
            LookupOutcome::NotFound { .. } => None,
            LookupOutcome::Unavailable(why) => Some(CancelOutcome::Unknown(why)),
        }
    }

    fn is_ours(&self, cancel: &toss::Cancel) -> bool {
        let is_booked = cancel.transaction_key.as_ref().is_some_and(|key| self.booked.contains(key));
        !is_booked
            && cancel.cancel_amount == i64::from(self.refund.amount.get())
            && cancel.cancel_reason.as_ref().is_none_or(|reason| *reason == self.refund.reason)
    }

    fn account(&self) -> Account {
        account_of(self.payment.kind)
    }

    fn payment_key(&self) -> &str {
        self.payment.payment_key.as_deref().unwrap_or_default()
    }
}

async fn record(
    env: &Env,
    lease: &Lease,
    refund: &Refund,
    payment: &Payment,
    answer: CancelOutcome,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    // The payment's and the subscription's rows are locked in the one order that everything uses.
    let subscription = subscriptions::lock(&mut tx, payment.subscription_id).await?;
    let subscription = subscription.ok_or(SettleError::Vanished)?;
    let finish = match answer {
        CancelOutcome::Canceled(after) => {
            made(env, &mut tx, (&subscription, payment, refund), &after, now).await?;
            Finish::Done(Some(format!("{} went back", refund.amount)))
        }
        CancelOutcome::Refused(refusal) => {
            let (code, message) = (refusal.code.as_str(), why_refused(&refusal));
            refunds::fail(&mut tx, refund.id, Some(code), message, refusal.trace_id.as_deref(), now).await?;
            common::store::announce_settled(&mut tx, &refund.id.to_string()).await?;
            raise_alarm("refund_refused");
            tracing::error!(refund.id = %refund.id, toss.code = code, subscription.id = %subscription_ref(subscription.id), "a refund was refused");
            Finish::Fail(format!("refused: {code} {message}"))
        }
        CancelOutcome::NotSent(reason) => {
            let fresh = reason.key_is_burnt.then(new_key);
            let code = reason.code.as_ref().map(toss::Code::as_str);
            if matches!(reason.kind, ReasonKind::OurMistake | ReasonKind::CredentialsRefused) {
                raise_alarm("not_sent");
                tracing::error!(refund.id = %refund.id, toss.code = code, "the gateway refuses to be asked for a refund: an operator is needed");
            }
            refunds::not_sent(&mut tx, refund.id, code, &reason.message, fresh).await?;
            Finish::Snooze {
                reason: format!("not sent: {} {}", code.unwrap_or("no answer"), reason.message),
                run_at: now + TimeDelta::minutes(5),
            }
        }
        CancelOutcome::Unknown(why) => snooze_unknown(&mut tx, refund, &why, now).await?,
    };
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}

/// What an operator has to know beside Toss's words.
fn why_refused(refusal: &toss::Decline) -> &str {
    match refusal.code.as_str() {
        "INVALID_REFUND_ACCOUNT_INFO" => {
            "a deposit goes back to a bank account that its customer names: refund it in Toss's dashboard, and it is booked here"
        }
        _ => &refusal.message,
    }
}

/// The money went back: `after` is the payment with this refund as its last cancel.
async fn made(
    env: &Env,
    conn: &mut PgConnection,
    (subscription, payment, refund): (&Subscription, &Payment, &Refund),
    after: &toss::GatewayPayment,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let made = after.cancels.last();
    let transaction = made.and_then(|cancel| cancel.transaction_key.as_deref());
    let made_at = made.and_then(|cancel| cancel.canceled_at).map(|at| at.to_utc());
    refunds::complete(conn, refund.id, transaction, made_at, after.trace_id.as_deref(), now).await?;
    let whole = refunds::completed_of(conn, payment.id).await? >= payment.amount;
    payments::mark_refunded(conn, payment.id, whole).await?;
    let entry = Entry { actor: &refund.requested_by, what: "payment.refunded", why: &refund.reason };
    let settled = Settled::Refund {
        payment_id: payment.id,
        refund_id: refund.id,
        amount: refund.amount.get(),
        refunded_at: made_at.unwrap_or(now),
    };
    events::append_with(conn, subscription, entry, Some(settled), now).await?;
    notifications::refunded(env, conn, subscription, refund, whole, (made_at, now)).await?;
    Ok(common::store::announce_settled(conn, &refund.id.to_string()).await?)
}

async fn snooze_unknown(
    conn: &mut PgConnection,
    refund: &Refund,
    why: &toss::Why,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let code = why.code.as_ref().map(toss::Code::as_str);
    refunds::unknown(conn, refund.id, code, &why.message, now).await?;
    let waited = refund.unknown_since.map_or(TimeDelta::zero(), |since| now - since);
    if waited >= REVIEW_AFTER {
        raise_alarm("refund_unknown");
        tracing::error!(refund.id = %refund.id, toss.code = code, "a refund has been unknown for more than 24 h: a person has to look");
    }
    let pause = (waited / 2).clamp(TimeDelta::seconds(75), TimeDelta::hours(1));
    let reason = format!("unknown outcome, sent again under the same key: {}", why.message);
    Ok(Finish::Snooze { reason, run_at: now + pause })
}
