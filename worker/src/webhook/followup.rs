//! What follows from an event about a payment, once it has been read back. Never a second way of settling: an unsettled
//! attempt is left to its own job, which is only woken.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::commands::wake_payment::wake_payment;
use common::domain::calendar::seoul_date;
use common::domain::payment::{Payment, PaymentStatus};
use common::domain::reconcile::{Discrepancy, DiscrepancyKind};
use common::queue::JobError;
use common::store::webhooks::WebhookEnd;
use common::store::{StoreError, discrepancies, payments};
use common::webhook::NamedPayment;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use subtle::ConstantTimeEq;
use toss::GatewayPayment;

use crate::env::{Env, raise_alarm};
use crate::refund::external::{BookedRefunds, book_external_refunds};

/// How soon an attempt that was just woken is settled, as a rule.
const SETTLES_WITHIN: TimeDelta = TimeDelta::minutes(1);
/// How soon a refund of ours that is under way has its answer, as a rule.
const REFUNDS_WITHIN: TimeDelta = TimeDelta::minutes(2);

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WebhookVerdict {
    End(WebhookEnd, String),
    /// Something of ours has to end first; look again after this long.
    Later(&'static str, TimeDelta),
}

impl WebhookVerdict {
    pub(crate) fn ignored(why: impl Into<String>) -> Self {
        Self::End(WebhookEnd::Ignored, why.into())
    }

    fn handled(what: impl Into<String>) -> Self {
        Self::End(WebhookEnd::Handled, what.into())
    }

    fn failed(why: impl Into<String>) -> Self {
        Self::End(WebhookEnd::Failed, why.into())
    }
}

/// Our attempt that the event names, and the secret that we know of it.
pub(crate) async fn named_payment(
    conn: &mut PgConnection,
    named: &NamedPayment,
) -> Result<Option<(Payment, Option<SecretString>)>, StoreError> {
    let mut attempt = match &named.order_id {
        Some(order_id) => payments::find_by_order(conn, order_id).await?,
        None => None,
    };
    if let (None, Some(key)) = (&attempt, &named.payment_key)
        && let Some(id) = payments::id_by_key(conn, key).await?
    {
        attempt = payments::find(conn, id).await?;
    }
    let Some(attempt) = attempt else { return Ok(None) };
    let secret = payments::secret_of(conn, attempt.id).await?;
    Ok(Some((attempt, secret)))
}

/// Whether the event's secret is another than the one that the gateway, or our books, have for this payment. Nothing is
/// known of an event without one.
pub(crate) fn is_forged(named: &NamedPayment, shown: &GatewayPayment, kept: Option<&SecretString>) -> bool {
    let Some(told) = &named.secret else { return false };
    let differs = |known: &SecretString| {
        let same = told.expose_secret().as_bytes().ct_eq(known.expose_secret().as_bytes());
        !bool::from(same)
    };
    shown.secret.as_ref().is_some_and(differs) || kept.is_some_and(differs)
}

/// Does what the payment, as it was read back, asks for. The caller commits, with the end of the event.
pub(crate) async fn follow(
    env: &Env,
    conn: &mut PgConnection,
    attempt: &Payment,
    shown: &GatewayPayment,
    now: DateTime<Utc>,
) -> Result<WebhookVerdict, JobError> {
    let current = payments::find(conn, attempt.id).await?;
    let Some(current) = current else { return Ok(WebhookVerdict::ignored("the payment is gone")) };
    let state = GatewayState::of(shown);
    match (current.status, state) {
        (PaymentStatus::Pending | PaymentStatus::Unknown, GatewayState::Open) => {
            Ok(WebhookVerdict::ignored("the payment has not come to an end at Toss either"))
        }
        (PaymentStatus::Pending | PaymentStatus::Unknown, GatewayState::Captured | GatewayState::Ended) => {
            wake_payment(conn, &current, "a webhook", now).await?;
            Ok(WebhookVerdict::Later("the attempt is being looked up by its own job", SETTLES_WITHIN))
        }
        (
            PaymentStatus::Completed | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded,
            GatewayState::Captured,
        ) => Ok(told(book_external_refunds(env, conn, current.id, shown, now).await?)),
        (
            PaymentStatus::Completed | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded,
            GatewayState::Open | GatewayState::Ended,
        ) => Ok(contradicted(&current, "our books have captured it, Toss has not")),
        (PaymentStatus::Failed, GatewayState::Captured) if shown.balance_amount != Some(0) => {
            let discrepancy = capture_of_failed(&current, shown);
            discrepancies::record(conn, captured_on(shown, now), &discrepancy, now).await?;
            Ok(contradicted(&current, why_captured(shown)))
        }
        (PaymentStatus::Failed, GatewayState::Captured) => {
            Ok(WebhookVerdict::handled("captured at Toss and given back in full; failed in our books"))
        }
        (PaymentStatus::Failed, GatewayState::Open | GatewayState::Ended) => {
            Ok(WebhookVerdict::handled("no money moved, as our books have it"))
        }
    }
}

fn capture_of_failed(payment: &Payment, shown: &GatewayPayment) -> Discrepancy {
    let transaction = shown.last_transaction_key.clone();
    Discrepancy {
        kind: DiscrepancyKind::CaptureKnownAsFailed,
        reference: transaction.clone().unwrap_or_else(|| payment.order_id.clone()),
        order_id: Some(payment.order_id.clone()),
        payment_key: Some(shown.payment_key.clone()),
        transaction_key: transaction,
        payment_id: Some(payment.id),
        refund_id: None,
        our_amount: Some(payment.amount.get().into()),
        their_amount: Some(shown.total_amount),
    }
}

/// The civil day on which the comparison of the books lists the capture.
fn captured_on(shown: &GatewayPayment, now: DateTime<Utc>) -> NaiveDate {
    seoul_date(shown.approved_at.map_or(now, |at| at.to_utc()))
}

fn why_captured(shown: &GatewayPayment) -> &'static str {
    if shown.virtual_account.is_some() {
        "a deposit came after its account had ended; it is given back in Toss's dashboard, to the customer's bank account"
    } else {
        "Toss has captured it, our books have it as failed"
    }
}

/// How far a payment has come at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GatewayState {
    Open,
    /// Money was taken, whatever was given back since.
    Captured,
    /// Over, without money.
    Ended,
}

impl GatewayState {
    fn of(shown: &GatewayPayment) -> Self {
        use toss::GatewayPaymentStatus as S;
        match shown.status {
            S::Done | S::Canceled | S::PartialCanceled => Self::Captured,
            S::Aborted | S::Expired => Self::Ended,
            S::Ready | S::InProgress | S::WaitingForDeposit | S::Other(_) => Self::Open,
        }
    }
}

fn told(booked: BookedRefunds) -> WebhookVerdict {
    match booked {
        BookedRefunds::Nothing => WebhookVerdict::handled("our books have all of it"),
        BookedRefunds::Booked(count) => {
            WebhookVerdict::handled(format!("{count} made in Toss's dashboard booked as refunds"))
        }
        BookedRefunds::WaitForOurs => WebhookVerdict::Later("a refund of ours is under way", REFUNDS_WITHIN),
        BookedRefunds::NeedsReview(why) => WebhookVerdict::failed(why),
    }
}

fn contradicted(attempt: &Payment, why: &'static str) -> WebhookVerdict {
    raise_alarm("contradicted_outcome");
    tracing::error!(payment.id = %attempt.id, order.id = attempt.order_id, status = %attempt.status, why, "an event contradicts our books");
    WebhookVerdict::failed(format!("{why}: a person has to look"))
}
