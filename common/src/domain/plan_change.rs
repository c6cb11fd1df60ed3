//! Another plan, cycle or price from a renewal on: when it comes, what it needs, and what becomes of it there.
//!
//! A higher amount needs the customer's express consent, given within the 30 days before (Act on Consumer Protection
//! in Electronic Commerce, art. 13 (6); Decree art. 20-2); without it the contract ends, whoever wanted the change.

use chrono::{DateTime, Days, NaiveDate, Utc};
use uuid::Uuid;

use super::billing_schedule::BillingSchedule;
use super::calendar::{Cycle, OutOfCalendar, Period, seoul_date};
use super::money::Won;
use super::subscription::{Subscription, SubscriptionStatus};

/// How many days before the renewal a consent counts.
pub const CONSENT_DAYS: u64 = 30;

/// What a subscription is charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub plan: String,
    pub cycle: Cycle,
    /// Won per period.
    pub amount: Won,
}

/// A row of `plan_changes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanChange {
    pub id: Uuid,
    pub subscription_id: Uuid,
    /// The plan's new price that it follows from; none: the customer's own change.
    pub price_change_id: Option<Uuid>,
    pub from: Terms,
    pub to: Terms,
    /// The first period under the new terms.
    pub effective_no: u32,
    /// Civil date in Seoul on which that period begins and is charged.
    pub effective_on: NaiveDate,
    pub requested_by: String,
    pub consent: Option<Consent>,
}

/// The customer's yes, as far as it is needed to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    pub amount: Won,
    pub given_at: DateTime<Utc>,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeEnd {
    Applied,
    /// Taken back by the customer.
    Withdrawn,
    /// Another change came in its place.
    Superseded,
    /// Its renewal never came, or came without consent.
    Lapsed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    #[error("the subscription has not begun")]
    NotBegun,
    #[error("the subscription is suspended: it has to be paid first")]
    Suspended,
    #[error("the subscription is canceled")]
    Canceled,
    #[error("it is what the subscription is already")]
    Unchanged,
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
}

/// From which period on a change that is asked for today holds: the first that has neither begun nor been billed.
///
/// So a charge that is in flight, retried, or looked for keeps its old terms, and the daily run cannot be overtaken.
/// `billed_no` is the last period that an invoice was made for.
pub fn takes_effect(
    subscription: &Subscription,
    plan: &str,
    cycle: Cycle,
    billed_no: u32,
    today: NaiveDate,
) -> Result<Period, ChangeRefused> {
    match subscription.status {
        SubscriptionStatus::Incomplete => return Err(ChangeRefused::NotBegun),
        SubscriptionStatus::Suspended => return Err(ChangeRefused::Suspended),
        SubscriptionStatus::Canceled => return Err(ChangeRefused::Canceled),
        SubscriptionStatus::Active | SubscriptionStatus::PastDue => {}
    }
    if subscription.plan == plan && subscription.cycle == cycle {
        return Err(ChangeRefused::Unchanged);
    }
    Ok(next_unbilled(subscription, billed_no, today)?)
}

/// The first period that has neither begun nor been billed.
pub fn next_unbilled(
    subscription: &Subscription,
    billed_no: u32,
    today: NaiveDate,
) -> Result<Period, OutOfCalendar> {
    first_unbilled(subscription.billing_schedule(), subscription.period_no.max(billed_no), today)
}

/// The first period after `last_no`, the last one paid or billed, that begins after `day`.
pub fn first_unbilled(
    schedule: BillingSchedule,
    last_no: u32,
    day: NaiveDate,
) -> Result<Period, OutOfCalendar> {
    let mut no = last_no.max(schedule.from_no);
    loop {
        no = no.checked_add(1).ok_or(OutOfCalendar)?;
        let period = schedule.period(no)?;
        if period.start > day {
            return Ok(period);
        }
    }
}

impl PlanChange {
    /// Whether more is to be charged at once than was agreed to.
    pub fn needs_consent(&self) -> bool {
        self.to.amount > self.from.amount
    }

    /// The first day on which a consent counts. The last is the day before the change.
    pub fn consent_from(&self) -> NaiveDate {
        self.effective_on.checked_sub_days(Days::new(CONSENT_DAYS)).unwrap_or(NaiveDate::MIN)
    }

    /// Whether nothing stands in its way on its day.
    pub fn is_agreed(&self) -> bool {
        !self.needs_consent() || self.consent.is_some_and(|consent| self.is_valid(consent))
    }

    fn is_valid(&self, consent: Consent) -> bool {
        let given_on = seoul_date(consent.given_at);
        consent.amount == self.to.amount && self.consent_from() <= given_on && given_on < self.effective_on
    }
}

/// Of the pending changes of one subscription, the one that comes next: on the same day the customer's own change, which
/// was made at the price of that day.
pub fn next_change(pending: &[PlanChange]) -> Option<&PlanChange> {
    pending.iter().min_by_key(|change| (change.effective_on, change.price_change_id.is_some()))
}

/// What is charged next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextTerms {
    Agreed(Terms),
    /// These, or nothing: without a consent it ends.
    AwaitsConsent(Terms),
}

/// What a charge on this date is for, as things stand. `pending` is all that waits for this subscription's renewals.
pub fn terms_on(subscription: &Subscription, pending: &[PlanChange], date: NaiveDate) -> NextTerms {
    let change = match subscription.status {
        // A charge that is tried again keeps its terms.
        SubscriptionStatus::PastDue => None,
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::Suspended
        | SubscriptionStatus::Canceled => next_change(pending).filter(|change| change.effective_on <= date),
    };
    match change {
        Some(change) if change.is_agreed() => NextTerms::Agreed(change.to.clone()),
        Some(change) => NextTerms::AwaitsConsent(change.to.clone()),
        None => NextTerms::Agreed(Terms {
            plan: subscription.plan.clone(),
            cycle: subscription.cycle,
            amount: subscription.amount,
        }),
    }
}

/// What a change does to the renewal that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtRenewal {
    /// Its day has not come.
    NotYet,
    /// The new terms hold from here on.
    Apply,
    /// More would be charged than was agreed to: the subscription ends with the period that is paid.
    End,
    /// The subscription has ended without it.
    Lapse,
}

/// Asked whenever the period that begins on its day, or a later one, is about to be billed.
pub fn at_renewal(change: &PlanChange, status: SubscriptionStatus, today: NaiveDate) -> AtRenewal {
    use SubscriptionStatus as S;
    // A cancel can be taken back until the paid period ends, and the change with it.
    if today < change.effective_on {
        return AtRenewal::NotYet;
    }
    match status {
        S::Active | S::PastDue | S::Suspended if change.is_agreed() => AtRenewal::Apply,
        S::Active | S::PastDue | S::Suspended => AtRenewal::End,
        S::Canceled | S::Incomplete => AtRenewal::Lapse,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsentRefused {
    #[error("the change needs no consent")]
    NotNeeded,
    #[error("another amount was shown than would be charged")]
    OtherAmount,
    #[error("another date was shown than that of the change")]
    OtherDate,
    #[error("a consent counts from {0} on")]
    TooEarly(NaiveDate),
    #[error("the day of the change has come")]
    TooLate,
}

/// Whether a yes to `amount` from `effective_on` on, given today, is one to this change.
pub fn consent(
    change: &PlanChange,
    amount: Won,
    effective_on: NaiveDate,
    today: NaiveDate,
) -> Result<(), ConsentRefused> {
    match () {
        () if !change.needs_consent() => Err(ConsentRefused::NotNeeded),
        () if amount != change.to.amount => Err(ConsentRefused::OtherAmount),
        () if effective_on != change.effective_on => Err(ConsentRefused::OtherDate),
        () if today < change.consent_from() => Err(ConsentRefused::TooEarly(change.consent_from())),
        () if today >= change.effective_on => Err(ConsentRefused::TooLate),
        () => Ok(()),
    }
}

#[cfg(test)]
#[path = "plan_change_tests.rs"]
mod tests;
