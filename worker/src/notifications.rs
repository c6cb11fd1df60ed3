//! Writes the e-mails of the money path into the outbox, in the transaction of the fact that each reports.

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::calendar::{seoul_date, seoul_midnight};
use common::domain::invoice::Invoice;
use common::domain::money::Won;
use common::domain::outcome::{Receipt, VirtualAccount};
use common::domain::payment::Payment;
use common::domain::plan_change::{NextTerms, Terms, terms_on};
use common::domain::registration::Registration;
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::id::subscription_ref;
use common::outbox::Fact;
use common::store::emails::NewEmail;
use common::store::{StoreError, emails, invoices, payments, plan_changes, plans, refunds};
use common::{email, outbox};
use sqlx::PgConnection;

use crate::{env::Env, error::SettleError};

/// The terms of the next charge. Where their consent is missing, they apply once it is given.
pub(crate) async fn next_terms(
    conn: &mut PgConnection,
    subscription: &Subscription,
    date: NaiveDate,
) -> Result<Terms, StoreError> {
    let pending = plan_changes::pending_of(conn, &[subscription.id]).await?;
    Ok(match terms_on(subscription, &pending, date) {
        NextTerms::Agreed(terms) | NextTerms::AwaitsConsent(terms) => terms,
    })
}

/// What a receipt says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PaidInvoice<'a> {
    pub(crate) plan_name: &'a str,
    pub(crate) invoice: &'a Invoice,
    pub(crate) attempt: &'a Payment,
    pub(crate) receipt: &'a Receipt,
}

/// The period is paid: the amount, the next date, the receipt. Without a card, a second mail asks for one.
pub(crate) async fn paid(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    paid: PaidInvoice<'_>,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    emails::insert(conn, &receipt(env, subscription, paid, now)?, now).await?;
    card_needed_if_none(env, conn, subscription, now).await
}

/// The first of them, to be written with the fact that it tells.
pub(crate) fn receipt(
    env: &Env,
    subscription: &Subscription,
    paid: PaidInvoice<'_>,
    now: DateTime<Utc>,
) -> Result<NewEmail, SettleError> {
    let PaidInvoice { plan_name, invoice, attempt, receipt } = paid;
    let rendered = email::payment_succeeded(
        &env.brand,
        &email::PaymentSucceeded {
            customer_name: &subscription.customer_name,
            plan_name,
            cycle: subscription.cycle,
            amount: attempt.amount,
            paid_on: seoul_date(receipt.paid_at),
            card_number: receipt.card_number.as_deref(),
            next_date: Some(seoul_date(subscription.next_billing_date)),
            receipt_url: receipt.receipt_url.as_deref(),
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    // The paid period, not the running one: a charge whose answer came late may pay for an older one.
    let period_no = invoice.period.no;
    let fact = Fact { kind: "payment_succeeded", period_no, step: &attempt.attempt_no.to_string() };
    Ok(outbox::address(subscription, fact, &rendered, None, now)?)
}

/// The second of them.
pub(crate) async fn card_needed_if_none(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    match subscription.sealed_billing_key {
        Some(_) => Ok(()),
        None => card_needed(env, conn, subscription, "0", now).await,
    }
}

/// A card is needed before the next date. `step` tells the reasons in one period apart.
pub(crate) async fn card_needed(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    step: &str,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let next_date = seoul_date(subscription.next_billing_date);
    let terms = next_terms(conn, subscription, next_date).await?;
    let rendered = email::card_needed(
        &env.brand,
        &email::CardNeeded {
            customer_name: &subscription.customer_name,
            plan_name: &plans::name_of(conn, &terms.plan).await?,
            cycle: terms.cycle,
            amount: terms.amount,
            next_date,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact { kind: "card_needed", period_no: subscription.period_no, step };
    let before = Some(subscription.next_billing_date).filter(|at| *at > now);
    outbox::post(conn, subscription, fact, &rendered, before, now).await?;
    Ok(())
}

/// What a failure mail has to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    pub(crate) step: usize,
    pub(crate) why: &'a str,
    pub(crate) card_is_dead: bool,
    pub(crate) retry_at: DateTime<Utc>,
}

/// A charge failed: why, and on which date it is tried again. Stale once that date has come.
pub(crate) async fn failed(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    invoice: &Invoice,
    failure: Failure<'_>,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let plan = plans::name_of(conn, &subscription.plan).await?;
    let retry_on = seoul_date(failure.retry_at);
    let rendered = email::payment_failed(
        &env.brand,
        &email::PaymentFailed {
            customer_name: &subscription.customer_name,
            plan_name: &plan,
            cycle: subscription.cycle,
            amount: invoice.amount,
            reason: failure.why,
            card_is_dead: failure.card_is_dead,
            retry_on,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact { kind: "payment_failed", period_no: invoice.period.no, step: &failure.step.to_string() };
    outbox::post(conn, subscription, fact, &rendered, Some(seoul_midnight(retry_on)), now).await?;
    Ok(())
}

/// The first period could not be paid with this card: until when another one can. Nobody whose subscription runs is
/// written to.
pub(crate) async fn first_failed(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    card: &Registration,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let (SubscriptionStatus::Incomplete, Some(repair_until)) =
        (subscription.status, subscription.repair_until)
    else {
        return Ok(());
    };
    let rendered = email::first_payment_failed(
        &env.brand,
        &email::FirstPaymentFailed {
            customer_name: &subscription.customer_name,
            plan_name: &plans::name_of(conn, &subscription.plan).await?,
            cycle: subscription.cycle,
            amount: subscription.amount,
            reason,
            repair_until,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let step = card.id.simple().to_string();
    let fact = Fact { kind: "first_payment_failed", period_no: 0, step: &step };
    outbox::post(conn, subscription, fact, &rendered, Some(repair_until), now).await?;
    Ok(())
}

/// The buyer chose to pay by deposit: which bank, account, holder, amount, and until when. Stale once that is over.
pub(crate) async fn deposit_awaited(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    attempt: &Payment,
    account: &VirtualAccount,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let rendered = email::deposit_awaited(
        &env.brand,
        &email::DepositAwaited {
            customer_name: &subscription.customer_name,
            plan_name: &plans::name_of(conn, &subscription.plan).await?,
            cycle: subscription.cycle,
            amount: attempt.amount,
            bank: &account.bank,
            account_number: &account.account_number,
            holder_name: &account.holder_name,
            due_at: account.due_at,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact { kind: "deposit_awaited", period_no: 0, step: "0" };
    outbox::post(conn, subscription, fact, &rendered, Some(account.due_at), now).await?;
    Ok(())
}

/// It ended before it began: nothing was charged.
pub(crate) async fn tell_not_begun(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let rendered = email::subscription_not_begun(
        &env.brand,
        &email::SubscriptionNotBegun {
            customer_name: &subscription.customer_name,
            plan_name: &plans::name_of(conn, &subscription.plan).await?,
            cycle: subscription.cycle,
            amount: subscription.amount,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact { kind: "subscription_not_begun", period_no: 0, step: "0" };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}

/// The dunning schedule is used up. Where an attempt was skipped, no card was worth asking the bank for.
pub(crate) async fn suspended(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    invoice: &Invoice,
    steps: usize,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let plan = plans::name_of(conn, &subscription.plan).await?;
    let skipped = invoices::count_skips(conn, invoice.id).await?;
    let cause = match subscription.sealed_billing_key {
        _ if skipped == 0 => email::SuspensionCause::Declined(steps),
        Some(_) => email::SuspensionCause::CardIsDead,
        None => email::SuspensionCause::NoCard,
    };
    let rendered = email::subscription_suspended(
        &env.brand,
        &email::SubscriptionSuspended {
            customer_name: &subscription.customer_name,
            plan_name: &plan,
            cycle: subscription.cycle,
            amount: invoice.amount,
            cause,
            suspended_on: seoul_date(now),
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact { kind: "subscription_suspended", period_no: invoice.period.no, step: "0" };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}

/// Money has gone back.
pub(crate) async fn refunded(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    refund: &common::domain::refund::Refund,
    all_is_back: bool,
    (made_at, now): (Option<DateTime<Utc>>, DateTime<Utc>),
) -> Result<(), SettleError> {
    let plan = plans::name_of(conn, &subscription.plan).await?;
    let amount: Won = refund.amount;
    let paid = payments::find(conn, refund.payment_id).await?.map_or(amount, |payment| payment.amount);
    let extent = if amount >= paid {
        email::RefundExtent::Whole
    } else if all_is_back || refunds::completed_of(conn, refund.payment_id).await? >= paid {
        email::RefundExtent::Rest
    } else {
        email::RefundExtent::Part
    };
    let rendered = email::payment_refunded(
        &env.brand,
        &email::PaymentRefunded {
            customer_name: &subscription.customer_name,
            plan_name: &plan,
            amount,
            // We may hear of it days later.
            refunded_on: seoul_date(made_at.map_or(now, |at| at.min(now))),
            extent,
            reason: Some(&refund.reason),
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let step = refund.id.simple().to_string();
    let fact = Fact { kind: "payment_refunded", period_no: subscription.period_no, step: &step };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}
