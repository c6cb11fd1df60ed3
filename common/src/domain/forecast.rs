//! What the run of a day does about one subscription. The scan and its charge jobs decide by the same rules: which periods
//! are due, what a change makes of them, and whether money is moved for an invoice.

use chrono::{DateTime, Utc};
use serde::Serialize;
use strum::{Display, IntoStaticStr};
use uuid::Uuid;

use super::calendar::{OutOfCalendar, Period, seoul_date};
use super::charge::{Decision, Facts, SkipReason, decide};
use super::invoice::{Invoice, due_periods};
use super::money::Won;
use super::payment::Payment;
use super::plan_change::{AtRenewal, PlanChange, at_renewal, next_change};
use super::subscription::{Subscription, SubscriptionStatus};

/// An invoice on record, with what has been tried for it.
#[derive(Debug, Clone)]
pub struct InvoiceFacts {
    pub invoice: Invoice,
    pub attempts: Vec<Payment>,
    /// Tries that were passed without asking the bank.
    pub skips: usize,
}

/// Why there is a charge, or would be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The next period begins.
    Renewal,
    /// The next period begins, under another plan, cycle or price.
    ChangedRenewal,
    /// A declined invoice is tried again.
    Retry,
    /// The period began while nothing ran.
    OlderPeriod,
}

/// Why a card is not charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NotCharged {
    /// No card is registered: the try is passed, and the customer is told.
    NoCard,
    /// The bank's refusal was final for this card: the try is passed.
    HardDecline,
    /// The customer has not agreed to the new amount: the subscription ends.
    NoConsent,
    /// An operator has paused the charges of this subscription.
    SubscriptionPaused,
    /// The switch over all charges is off.
    ChargingOff,
    /// An earlier charge has no answer yet: it is looked up.
    PaymentInFlight,
    /// It waits for an operator.
    OnHold,
    /// The period was forgiven, or is paid.
    NothingOwed,
}

/// One invoice that is due on the day, on record or still to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastLine {
    pub period: Period,
    pub plan: String,
    pub amount: Won,
    pub cause: Cause,
    /// `None`: the card is charged.
    pub not_charged: Option<NotCharged>,
}

/// Everything that the forecast of one subscription rests on.
#[derive(Debug, Clone, Copy)]
pub struct ForecastFacts<'a> {
    pub subscription: &'a Subscription,
    pub pending: &'a [PlanChange],
    /// All that are open, and those of periods after the paid one.
    pub invoices: &'a [InvoiceFacts],
    pub charging_enabled: bool,
    /// The last instant of the day.
    pub at: DateTime<Utc>,
}

/// What the run of the day makes of the subscription, older periods first. Empty: it is not due.
pub fn forecast(facts: ForecastFacts<'_>) -> Result<Vec<ForecastLine>, OutOfCalendar> {
    match facts.subscription.status {
        SubscriptionStatus::Active if facts.subscription.next_billing_date <= facts.at => renewals(facts),
        SubscriptionStatus::PastDue => Ok(retries(facts)),
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::Suspended
        | SubscriptionStatus::Canceled => Ok(Vec::new()),
    }
}

fn renewals(facts: ForecastFacts<'_>) -> Result<Vec<ForecastLine>, OutOfCalendar> {
    let ForecastFacts { subscription, pending, at, .. } = facts;
    let date = seoul_date(at);
    let paused = subscription.charging_paused_at.is_some();
    // The scan leaves a paused subscription alone: its change waits, too.
    let change = next_change(pending).filter(|_| !paused);
    match change.map(|change| (change, at_renewal(change, subscription.status, date))) {
        Some((change, AtRenewal::End)) => Ok(vec![ForecastLine {
            period: next_period(subscription)?,
            plan: change.to.plan.clone(),
            amount: change.to.amount,
            cause: Cause::ChangedRenewal,
            not_charged: Some(NotCharged::NoConsent),
        }]),
        Some((change, AtRenewal::Apply)) => {
            let changed = under(subscription, change)?;
            let mut lines = unbilled_before(facts, change)?;
            lines.extend(due(facts, &changed, Cause::ChangedRenewal, paused)?);
            Ok(lines)
        }
        Some((_, AtRenewal::NotYet | AtRenewal::Lapse)) | None => {
            due(facts, subscription, Cause::Renewal, paused)
        }
    }
}

fn next_period(subscription: &Subscription) -> Result<Period, OutOfCalendar> {
    let schedule = subscription.billing_schedule();
    schedule.period(subscription.period_no.saturating_add(1).max(schedule.from_no))
}

/// The subscription as the change makes it.
fn under(subscription: &Subscription, change: &PlanChange) -> Result<Subscription, OutOfCalendar> {
    Ok(Subscription {
        plan: change.to.plan.clone(),
        cycle: change.to.cycle,
        amount: change.to.amount,
        terms_since_period: change.effective_no,
        terms_since_month: subscription.billing_schedule().month_of(change.effective_no)?,
        ..subscription.clone()
    })
}

/// Periods under the old terms that nobody has billed: the change puts them on hold.
fn unbilled_before(
    facts: ForecastFacts<'_>,
    change: &PlanChange,
) -> Result<Vec<ForecastLine>, OutOfCalendar> {
    let subscription = facts.subscription;
    let last_day = change.effective_on.pred_opt().ok_or(OutOfCalendar)?;
    let due = due_periods(subscription.billing_schedule(), subscription.period_no, last_day)?;
    let older = due.into_iter().flat_map(|due| due.older.into_iter().chain([due.current]));
    Ok(older.map(|period| on_hold(subscription, period)).collect())
}

fn on_hold(subscription: &Subscription, period: Period) -> ForecastLine {
    ForecastLine {
        period,
        plan: subscription.plan.clone(),
        amount: subscription.amount,
        cause: Cause::OlderPeriod,
        not_charged: Some(NotCharged::OnHold),
    }
}

/// The periods that have begun: the current one is charged, older ones wait for an operator.
fn due(
    facts: ForecastFacts<'_>,
    subscription: &Subscription,
    cause: Cause,
    paused: bool,
) -> Result<Vec<ForecastLine>, OutOfCalendar> {
    let today = seoul_date(facts.at);
    let Some(periods) = due_periods(subscription.billing_schedule(), subscription.period_no, today)? else {
        return Ok(Vec::new());
    };
    let older = periods.older.iter().map(|period| (*period, Cause::OlderPeriod, Some(facts.at)));
    let all = older.chain([(periods.current, cause, None)]);
    Ok(all
        .map(|(period, cause, held_since)| {
            let known = facts.invoices.iter().find(|known| known.invoice.period.no == period.no);
            let made =
                Invoice::for_period(subscription.id, subscription.amount, period, held_since, facts.at);
            let fresh =
                InvoiceFacts { invoice: Invoice { id: Uuid::nil(), ..made }, attempts: Vec::new(), skips: 0 };
            let line = decided(facts, subscription, known.unwrap_or(&fresh), cause);
            // A paused subscription is left out of the scan: no invoice is made yet.
            match (paused, line.not_charged) {
                (true, None | Some(NotCharged::OnHold)) if known.is_none() => {
                    ForecastLine { not_charged: Some(NotCharged::SubscriptionPaused), ..line }
                }
                _ => line,
            }
        })
        .collect())
}

/// Declined invoices whose next try is due by the end of the day.
fn retries(facts: ForecastFacts<'_>) -> Vec<ForecastLine> {
    let due_by = |known: &&InvoiceFacts| {
        known.invoice.held_since.is_none() && known.invoice.next_attempt_at.is_some_and(|at| at <= facts.at)
    };
    let due = facts.invoices.iter().filter(due_by);
    due.map(|known| decided(facts, facts.subscription, known, Cause::Retry)).collect()
}

fn decided(
    facts: ForecastFacts<'_>,
    subscription: &Subscription,
    known: &InvoiceFacts,
    cause: Cause,
) -> ForecastLine {
    let InvoiceFacts { invoice, attempts, skips } = known;
    let decision = decide(Facts {
        subscription,
        invoice,
        attempts,
        skips: *skips,
        charging_enabled: facts.charging_enabled,
        now: facts.at,
    });
    let not_charged = match decision {
        Decision::Charge | Decision::Send(_) => None,
        Decision::LookUp(_) => Some(NotCharged::PaymentInFlight),
        Decision::Skip(SkipReason::NoPaymentMethod) => Some(NotCharged::NoCard),
        Decision::Skip(SkipReason::HardDecline) => Some(NotCharged::HardDecline),
        Decision::Paused if facts.charging_enabled => Some(NotCharged::SubscriptionPaused),
        Decision::Paused => Some(NotCharged::ChargingOff),
        Decision::Hold => Some(NotCharged::OnHold),
        Decision::Nothing(_) if invoice.held_since.is_some() => Some(NotCharged::OnHold),
        Decision::Nothing(_) | Decision::Void | Decision::NotYet(_) => Some(NotCharged::NothingOwed),
    };
    let (period, amount) = (invoice.period, invoice.amount);
    ForecastLine { period, plan: subscription.plan.clone(), amount, cause, not_charged }
}
