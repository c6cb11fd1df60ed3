//! Captured money: the period begins, or the money goes back where a cancel came first.

use chrono::{DateTime, Utc};
use common::domain::calendar::seoul_date;
use common::domain::charge::{AfterPaid, after_paid};
use common::domain::incomplete::first_day;
use common::domain::invoice::Invoice;
use common::domain::outcome::Receipt;
use common::domain::payment::{Payment, PaymentKind};
use common::domain::refund::Refund;
use common::domain::subscription::SubscriptionStatus;
use common::jobs::RefundPayment;
use common::queue::Finish;
use common::store::events::{Entry, Settled};
use common::store::renewals::PaidRenewal;
use common::store::{events, invoices, payments, refunds, renewals, subscriptions};
use common::{jobs, store};
use sqlx::PgConnection;

use super::context::ChargeContext;
use crate::card::replacement;
use crate::env::Env;
use crate::error::SettleError;
use crate::notifications;
use crate::notifications::PaidInvoice;

pub(super) async fn settle(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    if is_plain_renewal(context, attempt, receipt, now) {
        return renew(env, conn, context, attempt, receipt, now).await;
    }
    let invoice = period_from_capture(conn, context, attempt, receipt, now).await?;
    let context = &context.with(invoice);
    let ChargeContext { subscription, invoice, .. } = context;
    payments::complete(conn, attempt.id, receipt, now).await?;
    invoices::mark_paid(conn, invoice.id, receipt.paid_at).await?;
    if let Some(sealed) = &receipt.sealed_billing_key {
        let number = receipt.card_number.as_deref();
        subscriptions::keep_card(conn, subscription.id, sealed, number, now).await?;
    }
    if attempt.kind == PaymentKind::NewCard {
        replacement::verified(conn, subscription, attempt, now).await?;
    }
    match after_paid(subscription.status) {
        AfterPaid::Activate => {
            activate_or_renew(env, conn, context, attempt, receipt, "subscription.activated", now).await?;
        }
        // A period older than the running one, charged by an operator, moves nothing.
        AfterPaid::Renew if context.is_older(conn, now).await? => {
            let entry = Entry { actor: "worker", what: "invoice.paid", why: "an older period was paid" };
            events::append_with(conn, subscription, entry, Some(Settled::Payment(attempt.id)), now).await?;
            notifications::paid(env, conn, subscription, paid_invoice(context, attempt, receipt), now)
                .await?;
        }
        AfterPaid::Renew => {
            activate_or_renew(env, conn, context, attempt, receipt, "subscription.renewed", now).await?;
        }
        AfterPaid::Refund => give_back(conn, context, attempt, now).await?,
    }
    store::announce_settled(conn, &attempt.order_id).await?;
    Ok(finish(attempt, receipt))
}

/// The common case: the next period of an active subscription, charged to the card on record.
fn is_plain_renewal(
    context: &ChargeContext,
    attempt: &Payment,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> bool {
    let ChargeContext { subscription, invoice, .. } = context;
    attempt.kind == PaymentKind::Renewal
        && receipt.sealed_billing_key.is_none()
        && subscription.status == SubscriptionStatus::Active
        && invoice.period.no > subscription.period_no
        && seoul_date(now) < invoice.period.end
}

/// One statement for what the path above writes step by step. Nobody waits for a renewal, so none is announced.
async fn renew(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    let renewed = &renewals::renewed(subscription, invoice, now);
    let email = &notifications::receipt(env, renewed, paid_invoice(context, attempt, receipt), now)?;
    let paid =
        PaidRenewal { before: subscription, after: renewed, invoice, payment: attempt, receipt, email };
    renewals::settle(conn, paid, now).await?;
    notifications::card_needed_if_none(env, conn, renewed, now).await?;
    Ok(finish(attempt, receipt))
}

fn paid_invoice<'a>(
    context: &'a ChargeContext,
    attempt: &'a Payment,
    receipt: &'a Receipt,
) -> PaidInvoice<'a> {
    PaidInvoice { plan_name: &context.plan_name, invoice: &context.invoice, attempt, receipt }
}

fn finish(attempt: &Payment, receipt: &Receipt) -> Finish {
    tracing::info!(payment.id = %attempt.id, order.id = attempt.order_id, toss.trace_id = receipt.trace_id, "paid");
    Finish::Done(Some(format!("paid {} as {}", attempt.amount, attempt.order_id)))
}

/// The invoice, which for a subscription that begins with it is counted from the day on which the money was captured.
async fn period_from_capture(
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> Result<Invoice, SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    let day = first_day(attempt.first_sent_at, receipt.paid_at, now);
    let begins = subscription.status == SubscriptionStatus::Incomplete && invoice.period.no == 0;
    if !begins || subscription.anchor_on == day {
        return Ok(invoice.clone());
    }
    let period = subscription.cycle.period(day, 0)?;
    invoices::move_first_period(conn, invoice.id, period).await?;
    subscriptions::move_anchor(conn, subscription.id, day, now).await?;
    Ok(Invoice { period, due_on: period.start, ..invoice.clone() })
}

async fn activate_or_renew(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    receipt: &Receipt,
    what: &str,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    subscriptions::begin_period(conn, subscription.id, invoice.period, now).await?;
    let entry = Entry { actor: "worker", what, why: "the period is paid" };
    events::append_with(conn, subscription, entry, Some(Settled::Payment(attempt.id)), now).await?;
    let renewed = subscriptions::find(conn, subscription.id).await?.ok_or(SettleError::Vanished)?;
    notifications::paid(env, conn, &renewed, paid_invoice(context, attempt, receipt), now).await
}

/// The customer cancelled while the charge was in flight: all of it goes back, once.
async fn give_back(
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let refund =
        Refund::new(attempt.id, attempt.amount, "구독 취소 후 승인된 결제의 자동 환불", "worker", now);
    let subscription_id = context.subscription.id;
    if let Some(refund_id) = refunds::insert(conn, &refund, "landed_after_cancel", now).await? {
        jobs::enqueue(conn, &RefundPayment { refund_id, subscription_id }, now, now).await?;
    }
    let entry = Entry {
        actor: "worker",
        what: "payment.landed_after_cancel",
        why: "it was in flight when the subscription was canceled; it is refunded",
    };
    let settled = Some(Settled::Payment(attempt.id));
    Ok(events::append_with(conn, &context.subscription, entry, settled, now).await?)
}
