//! One step of one refund: commit that it is sent, ask the gateway, record what it said. An unknown one is looked for
//! among the payment's cancels, and only when it is not there sent again, under the same key at first. One that Toss answers
//! with 5xx each time and does not list has failed, and so has one that is not listed after 14 days: the next is possible.
//!
//! What a death leaves behind, line by line: before the intent's commit, a refund that was not sent; from then until the
//! outcome's commit, one that looks sent, so it is looked for first, and what is sent again carries the old key and the
//! amount that must still be left: the gateway cannot make it twice. After that commit nothing is left to do.

use std::time::Duration;

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::payment::{Payment, REVIEW_AFTER};
use common::domain::refund::{MissingRefund, Refund};
use common::domain::subscription::Subscription;
use common::id::{new_key, subscription_ref};
use common::jobs::RefundPayment;
use common::queue::{Finish, JobError, Lease, Ran, hold_on};
use common::store::events::{Entry, Settled};
use common::store::gate::Lane;
use common::store::{events, payments, refunds, subscriptions};
use sqlx::PgConnection;
use toss::{
    Account, CancelOutcome, CancelRequest, IdempotencyKey, LookupOutcome, Reason, ReasonKind, Why, WhyKind,
};
use uuid::Uuid;

use crate::env::{Env, raise_alarm};
use crate::error::SettleError;
use crate::gateway::health::{Call, Caller, Sign};
use crate::gateway::merchant::{is_ours, mismatch};
use crate::gateway::rate_limiter::pause_of;
use crate::gateway::reads::{account_of, gateway_account_of};
use crate::gateway::{answer, health};
use crate::{crash, notifications};

pub(crate) mod external;

/// Moves one refund on by at most one call.
#[tracing::instrument(name = "refund.refund_payment", skip_all, fields(refund.id = %job.refund_id, payment.id))]
pub(crate) async fn refund_payment(
    job: RefundPayment,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let (env, lease, refund_id) = (&*env, &lease, job.refund_id);
    let mut conn = env.pool.acquire().await?;
    let Some(kind) = refunds::kind_of_payment(&mut conn, refund_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the refund is settled, or does not exist".into())));
    };
    drop(conn);
    let permit = health::check_gateway(env, Call::refund(gateway_account_of(kind))).await?;
    health::when_permitted(env, permit, |caller| step(env, lease, refund_id, caller)).await
}

async fn step(env: &Env, lease: &Lease, refund_id: Uuid, caller: Caller) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let Some(refund) = refunds::lock(&mut tx, refund_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the refund does not exist".into())));
    };
    if refund.is_settled() {
        return Ok(Ran::Finish(Finish::Discard("the refund is settled".into())));
    }
    let Some(payment) = payments::find(&mut tx, refund.payment_id).await? else {
        return Err(JobError::new("a refund of a payment that does not exist"));
    };
    tracing::Span::current().record("payment.id", tracing::field::display(payment.id));
    let back = refunds::completed_of(&mut tx, payment.id).await?;
    let booked = refunds::transactions_of(&mut tx, payment.id).await?;
    refunds::mark_sent(&mut tx, refund.id, now).await?;
    tx.commit().await?;
    crash::point("after_refund_intent");
    let left = payment.amount.less(back).unwrap_or(common::domain::money::Won::ZERO);
    let call =
        RefundCall { env, payment: &payment, refund: &refund, left: left.get().into(), booked: &booked };
    ask(lease, &call, caller).await
}

/// Asks once, and records what was said.
async fn ask(lease: &Lease, call: &RefundCall<'_>, caller: Caller) -> Result<Ran, JobError> {
    let RefundCall { env, payment, refund, .. } = call;
    hold_on();
    let answer = of_our_merchant(env, payment, call.answer().await?).await;
    crash::point("after_refund_call");
    let Some(answer) = answer else {
        // Toss has answered that it does not list the refund.
        record_health(env, caller, payment, (Some(true), "", None)).await;
        return never_made(env, lease, refund, payment).await;
    };
    let (works, why) = answer.gateway_works();
    record_health(env, caller, payment, (works, why, answer.retry_after())).await;
    record(env, lease, refund, payment, answer).await
}

/// A cancel under another merchant's name is not taken for ours.
async fn of_our_merchant(
    env: &Env,
    payment: &Payment,
    answer: Option<CancelOutcome>,
) -> Option<CancelOutcome> {
    match answer {
        Some(CancelOutcome::Canceled(after))
            if !is_ours(env, gateway_account_of(payment.kind), after.merchant_id.as_deref()).await =>
        {
            Some(CancelOutcome::Unknown(mismatch(after.trace_id)))
        }
        other => other,
    }
}

async fn record_health(
    env: &Env,
    caller: Caller,
    payment: &Payment,
    (works, why, retry_after): (Option<bool>, &str, Option<Duration>),
) {
    let (account, subject) = (gateway_account_of(payment.kind), payment.subscription_id);
    let sign = Sign { account, subject, works, why, retry_after };
    health::record_gateway_health(env, caller, sign).await;
}

/// The gateway does not list it, and another sending would come to nothing: it is asked for anew or not at all.
async fn never_made(env: &Env, lease: &Lease, refund: &Refund, payment: &Payment) -> Result<Ran, JobError> {
    let why = "Toss did not make it, whenever it was asked, and does not list it: nothing went back";
    let ran = answer::record(env, lease, "refund", |mut tx, now| async move {
        subscriptions::lock(&mut tx, payment.subscription_id).await?.ok_or(SettleError::Vanished)?;
        if refunds::lock(&mut tx, refund.id).await?.ok_or(SettleError::Vanished)?.is_settled() {
            return Ok((tx, Finish::Done(Some("settled meanwhile by another worker".into()))));
        }
        refunds::fail(&mut tx, refund.id, None, why, None, now).await?;
        common::store::announce_settled(&mut tx, &refund.id.to_string()).await?;
        Ok((tx, Finish::Fail(why.into())))
    });
    let ran = ran.await?;
    raise_alarm("refund_failed");
    tracing::error!(refund.id = %refund.id, payment.id = %payment.id, why);
    Ok(ran)
}

/// All that asking about one refund takes.
struct RefundCall<'a> {
    env: &'a Env,
    payment: &'a Payment,
    refund: &'a Refund,
    /// Won that we believe is left to cancel.
    left: i64,
    /// The gateway's names for the refunds of this payment that are in our books.
    booked: &'a [String],
}

impl RefundCall<'_> {
    /// None: it was not made, and is given up.
    async fn answer(&self) -> Result<Option<CancelOutcome>, JobError> {
        // Taken back as certainly not made, it is sent as if for the first time.
        if self.refund.sent_at.is_none() {
            return self.send(self.refund.idempotency_key).await.map(Some);
        }
        if let Some(known) = self.look_for_it().await {
            return Ok(Some(known));
        }
        let key = match self.refund.when_not_listed(self.env.clock.now()) {
            MissingRefund::GiveUp => return Ok(None),
            MissingRefund::SendAgain => self.refund.idempotency_key,
            MissingRefund::SendWithFreshKey => {
                let fresh_key = new_key();
                refunds::renew_key(&mut *self.env.pool.acquire().await?, self.refund.id, fresh_key).await?;
                fresh_key
            }
        };
        self.env.rate_limiter.acquire(&self.env.pool, Lane::Refund).await?;
        match self.send(key).await?.of_resend() {
            // Perhaps refused only because the first sending has landed meanwhile.
            CancelOutcome::Refused(refusal) => {
                Ok(Some(self.look_for_it().await.unwrap_or(CancelOutcome::Refused(refusal))))
            }
            other => Ok(Some(other)),
        }
    }

    async fn send(&self, key: Uuid) -> Result<CancelOutcome, JobError> {
        let key = IdempotencyKey::new(key.to_string())?;
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
            // A question without an answer says nothing about the sending that it asked about.
            LookupOutcome::Unavailable(why) => {
                let kind = WhyKind::NotHeard(ReasonKind::Unavailable);
                Some(CancelOutcome::Unknown(Why { kind, ..why }))
            }
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

/// Records the answer, however long the database cannot. Where it refuses the answer, a later look-up finds the refund.
async fn record(
    env: &Env,
    lease: &Lease,
    refund: &Refund,
    payment: &Payment,
    answer: CancelOutcome,
) -> Result<Ran, JobError> {
    let answer = &answer;
    let written = answer::record(env, lease, "refund", |mut tx, now| async move {
        let finish = settle(env, &mut tx, (refund, payment), answer, now).await?;
        Ok((tx, finish))
    });
    let refused = match written.await {
        Ok(ran) => return Ok(ran),
        Err(refused) => refused,
    };
    answer::alarm_refused("refund", &refused);
    let facts = &format!("{}; the database refused to record it: {refused}", said(answer));
    let aside = answer::record(env, lease, "refund in review", |mut tx, now| async move {
        refunds::unknown(&mut tx, refund.id, None, facts, false, now).await?;
        let reason = format!("for a person: {facts}");
        Ok((tx, Finish::Snooze { reason, run_at: now + TimeDelta::hours(1) }))
    });
    Ok(aside.await?)
}

/// What the gateway said, for a person who settles it by hand.
fn said(answer: &CancelOutcome) -> String {
    match answer {
        CancelOutcome::Canceled(after) => {
            let name = after.cancels.last().and_then(|cancel| cancel.transaction_key.as_deref());
            format!("Toss says refunded, as transaction {}", name.unwrap_or("without a name"))
        }
        CancelOutcome::Refused(refusal) => format!("Toss refused it: {} {}", refusal.code, refusal.message),
        CancelOutcome::NotSent(reason) => format!("not sent: {}", reason.message),
        CancelOutcome::Unknown(why) => format!("unknown: {}", why.message),
    }
}

/// Writes the answer into the caller's transaction; answers what becomes of the job.
async fn settle(
    env: &Env,
    conn: &mut PgConnection,
    (refund, payment): (&Refund, &Payment),
    answer: &CancelOutcome,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    // The payment's and the subscription's rows are locked in the one order that everything uses.
    let subscription = subscriptions::lock(conn, payment.subscription_id).await?;
    let subscription = subscription.ok_or(SettleError::Vanished)?;
    let current = refunds::lock(conn, refund.id).await?.ok_or(SettleError::Vanished)?;
    if current.is_settled() {
        return Ok(Finish::Done(Some("settled meanwhile by another worker".into())));
    }
    match answer {
        CancelOutcome::Canceled(after) => {
            made(env, conn, (&subscription, payment, refund), after, now).await?;
            Ok(Finish::Done(Some(format!("{} went back", refund.amount))))
        }
        CancelOutcome::Refused(refusal) => {
            let (code, message) = (refusal.code.as_str(), why_refused(refusal));
            refunds::fail(conn, refund.id, Some(code), message, refusal.trace_id.as_deref(), now).await?;
            common::store::announce_settled(conn, &refund.id.to_string()).await?;
            raise_alarm("refund_refused");
            tracing::error!(refund.id = %refund.id, toss.code = code, subscription.id = %subscription_ref(subscription.id), "a refund was refused");
            Ok(Finish::Fail(format!("refused: {code} {message}")))
        }
        CancelOutcome::NotSent(reason) => not_sent(conn, refund, reason, now).await,
        CancelOutcome::Unknown(why) => snooze_unknown(conn, refund, why, now).await,
    }
}

async fn not_sent(
    conn: &mut PgConnection,
    refund: &Refund,
    reason: &Reason,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let fresh = reason.key_is_burnt.then(new_key);
    let code = reason.code.as_ref().map(toss::Code::as_str);
    if reason.needs_operator() {
        raise_alarm("not_sent");
        tracing::error!(refund.id = %refund.id, toss.code = code, "the gateway refuses to be asked for a refund: an operator is needed");
    }
    refunds::not_sent(conn, refund.id, code, &reason.message, fresh).await?;
    let pause = TimeDelta::minutes(5).max(pause_of(reason.retry_after()));
    let reason = format!("not sent: {} {}", code.unwrap_or("no answer"), reason.message);
    Ok(Finish::Snooze { reason, run_at: now + pause })
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
    let is_server_error = why.kind == WhyKind::ServerError;
    refunds::unknown(conn, refund.id, code, &why.message, is_server_error, now).await?;
    let waited = refund.unknown_since.map_or(TimeDelta::zero(), |since| now - since);
    if waited >= REVIEW_AFTER {
        raise_alarm("refund_unknown");
        tracing::error!(refund.id = %refund.id, toss.code = code, "a refund has been unknown for more than 24 h: a person has to look");
    }
    let pause = (waited / 2).clamp(TimeDelta::seconds(75), TimeDelta::hours(1));
    let pause = pause.max(pause_of(why.retry_after));
    let reason = format!("unknown outcome, looked for and sent again: {}", why.message);
    Ok(Finish::Snooze { reason, run_at: now + pause })
}
