//! Books what went back without us: refunds made in Toss's own dashboard, once, whoever sees them first.

use chrono::{DateTime, Utc};
use common::domain::external_refund::{Found, GatewayCancel, found};
use common::domain::money::Won;
use common::domain::payment::{Payment, PaymentStatus};
use common::domain::refund::{Refund, RefundStatus};
use common::domain::subscription::Subscription;
use common::store::events::{Entry, Settled};
use common::store::{events, payments, refunds, subscriptions};
use sqlx::PgConnection;
use toss::GatewayPayment;
use uuid::Uuid;

use crate::env::{Env, raise_alarm};
use crate::error::SettleError;
use crate::notifications;

/// Who asked for it, as far as anybody here can tell.
const DASHBOARD: &str = "toss dashboard";
/// Toss takes a reason of at most this many characters.
const LONGEST_REASON: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BookedRefunds {
    /// Our books had all of it.
    Nothing,
    Booked(usize),
    /// A refund of ours is under way and may be what the gateway shows.
    WaitForOurs,
    /// Nothing is booked, and why a person has to look.
    NeedsReview(&'static str),
}

/// Books every cancel that the payment shows, as it was read back, and our books do not have. The caller commits.
pub(crate) async fn book_external_refunds(
    env: &Env,
    conn: &mut PgConnection,
    payment_id: Uuid,
    shown: &GatewayPayment,
    now: DateTime<Utc>,
) -> Result<BookedRefunds, SettleError> {
    let known = payments::find(conn, payment_id).await?.ok_or(SettleError::Vanished)?;
    let subscription =
        subscriptions::lock(conn, known.subscription_id).await?.ok_or(SettleError::Vanished)?;
    let attempt = payments::find(conn, payment_id).await?.ok_or(SettleError::Vanished)?;
    match attempt.status {
        PaymentStatus::Completed | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded => {}
        PaymentStatus::Pending | PaymentStatus::Unknown | PaymentStatus::Failed => {
            return Ok(BookedRefunds::NeedsReview("our books have not captured this payment"));
        }
    }
    if !is_same(&attempt, shown) {
        raise_alarm("answer_mismatch");
        tracing::error!(payment.id = %attempt.id, "read back, the payment is another or has another amount");
        return Ok(BookedRefunds::NeedsReview("read back, the payment is another or has another amount"));
    }
    let cancels = cancels(shown);
    let booked = refunds::booked_of(conn, attempt.id).await?;
    match found(&cancels, &booked, attempt.amount) {
        Found::Nothing => Ok(BookedRefunds::Nothing),
        Found::WaitForOurs => Ok(BookedRefunds::WaitForOurs),
        Found::TooMuch => {
            raise_alarm("refunded_too_much");
            tracing::error!(payment.id = %attempt.id, "more went back than was ever captured");
            Ok(BookedRefunds::NeedsReview("more went back than was ever captured"))
        }
        Found::Book(new) => {
            let count = book_all(env, conn, &subscription, &attempt, &new, now).await?;
            tracing::warn!(payment.id = %attempt.id, count, "refunds made in Toss's dashboard are booked");
            Ok(BookedRefunds::Booked(count))
        }
    }
}

async fn book_all(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    attempt: &Payment,
    new: &[&GatewayCancel],
    now: DateTime<Utc>,
) -> Result<usize, SettleError> {
    let mut booked = Vec::new();
    for cancel in new {
        if let Some(refund) = book(conn, attempt, cancel, now).await? {
            booked.push((refund, *cancel));
        }
    }
    let whole = refunds::completed_of(conn, attempt.id).await? >= attempt.amount;
    payments::mark_refunded(conn, attempt.id, whole).await?;
    // Told last, so that each event shows the payment with all of its refunds.
    for (refund, cancel) in &booked {
        tell(env, conn, subscription, attempt, refund, cancel, now).await?;
    }
    Ok(booked.len())
}

fn is_same(attempt: &Payment, shown: &GatewayPayment) -> bool {
    attempt.payment_key.as_deref() == Some(shown.payment_key.as_str())
        && attempt.order_id == shown.order_id
        && i64::from(attempt.amount.get()) == shown.total_amount
}

/// The cancels that took place. One whose amount is no money is none.
fn cancels(shown: &GatewayPayment) -> Vec<GatewayCancel> {
    let made = shown
        .cancels
        .iter()
        .filter(|cancel| cancel.cancel_status.as_deref().is_none_or(|status| status == "DONE"));
    made.filter_map(|cancel| {
        Some(GatewayCancel {
            transaction_key: cancel.transaction_key.clone(),
            amount: Won::new(cancel.cancel_amount).ok().filter(|amount| *amount > Won::ZERO)?,
            reason: cancel.cancel_reason.clone(),
            canceled_at: cancel.canceled_at.map(|at| at.with_timezone(&Utc)),
        })
    })
    .collect()
}

/// Books a refund that Toss shows. `None`: it is booked already.
async fn book(
    conn: &mut PgConnection,
    attempt: &Payment,
    cancel: &GatewayCancel,
    now: DateTime<Utc>,
) -> Result<Option<Refund>, SettleError> {
    let refund = Refund {
        status: RefundStatus::Completed,
        ..Refund::new(attempt.id, cancel.amount, reason(cancel), DASHBOARD, now)
    };
    let name = cancel.transaction_key.as_deref();
    let request_key = format!("toss:{}", name.map_or_else(|| refund.id.to_string(), str::to_owned));
    let is_new = refunds::insert_external(conn, &refund, name, cancel.canceled_at, &request_key, now).await?;
    Ok(is_new.then_some(refund))
}

async fn tell(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    attempt: &Payment,
    refund: &Refund,
    cancel: &GatewayCancel,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let entry = Entry { actor: DASHBOARD, what: "payment.refunded", why: &refund.reason };
    let settled = Settled::Refund {
        payment_id: attempt.id,
        refund_id: refund.id,
        amount: refund.amount.get(),
        refunded_at: cancel.canceled_at.unwrap_or(now),
    };
    events::append_with(conn, subscription, entry, Some(settled), now).await?;
    let whole = cancel.amount == attempt.amount;
    notifications::refunded(env, conn, subscription, refund, whole, (cancel.canceled_at, now)).await
}

fn reason(cancel: &GatewayCancel) -> String {
    let given = cancel.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    let given = given.unwrap_or("상점 관리자에서 처리한 환불");
    given.chars().filter(|c| *c != '\0').take(LONGEST_REASON).collect()
}
