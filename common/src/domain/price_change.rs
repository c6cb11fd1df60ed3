//! A plan's new price for those who pay its old one: whether it may be announced, and whether it may be withdrawn.
//!
//! New subscribers pay it from its announcement on. Whoever pays the old price by then, or comes to pay it later, follows
//! at a renewal; for a higher price only with consent, so nobody is moved before there was time to ask.

use chrono::{DateTime, Days, NaiveDate, Utc};
use uuid::Uuid;

use super::calendar::{Cycle, OutOfCalendar};
use super::money::Won;
use super::plan_change::CONSENT_DAYS;

/// A customer whose renewal is nearer than this pays the higher price from the renewal after it.
pub const MIN_DAYS_TO_ANSWER: u64 = 7;

/// A row of `price_changes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    pub id: Uuid,
    pub plan: String,
    pub cycle: Cycle,
    /// Won per period; who pays exactly this is concerned.
    pub old: Won,
    pub new: Won,
    /// Civil date in Seoul; the first renewals under the new price.
    pub effective_from: NaiveDate,
    /// Whether new subscribers pay it, from its announcement on; else it brings others to the plan's price.
    pub reprices_plan: bool,
    /// The one whose place it took: those whom that has not reached are concerned, too.
    pub follows: Option<Uuid>,
    pub requested_by: String,
    pub reason: String,
    pub created_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    pub withdrawal: Option<Withdrawal>,
}

/// An operator took it back before it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
}

/// Where a price change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Standing {
    /// New subscribers pay it; for the others its date has not come.
    Announced,
    /// Whoever renews follows.
    InForce,
    /// Another one has taken its place.
    Followed,
    Withdrawn,
}

impl PriceChange {
    pub fn standing(&self, today: NaiveDate) -> Standing {
        match (&self.withdrawal, self.closed_at) {
            (Some(_), _) => Standing::Withdrawn,
            (None, Some(_)) => Standing::Followed,
            (None, None) if today < self.effective_from => Standing::Announced,
            (None, None) => Standing::InForce,
        }
    }
}

/// The dates that decide from which renewal a price change applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    pub today: NaiveDate,
    /// The first date on which a higher price may come, so that the customer has time to answer.
    pub first_raise_on: NaiveDate,
}

impl Dates {
    pub fn of(today: NaiveDate) -> Result<Self, OutOfCalendar> {
        let first_raise_on = today.checked_add_days(Days::new(MIN_DAYS_TO_ANSWER)).ok_or(OutOfCalendar)?;
        Ok(Self { today, first_raise_on })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnnouncementRefused {
    #[error("it costs {0} already")]
    Unchanged(Won),
    #[error("{0} is over: the first date is {1}")]
    Past(NaiveDate, NaiveDate),
    #[error(
        "{0} is too soon to ask everybody {CONSENT_DAYS} days before: the first date for a higher price is {1}"
    )]
    TooSoon(NaiveDate, NaiveDate),
}

/// Whether a price may be announced today. `lowest` is the least that anybody concerned pays now.
pub fn announce(
    old: Won,
    new: Won,
    lowest: Won,
    effective_from: NaiveDate,
    today: NaiveDate,
) -> Result<(), AnnouncementRefused> {
    // Tomorrow's run is the first that is sure to come; it asks 30 days before.
    let first = today.checked_add_days(Days::new(CONSENT_DAYS + 1)).unwrap_or(NaiveDate::MAX);
    match () {
        () if new == old => Err(AnnouncementRefused::Unchanged(old)),
        () if effective_from < today => Err(AnnouncementRefused::Past(effective_from, today)),
        () if new > old.min(lowest) && effective_from < first => {
            Err(AnnouncementRefused::TooSoon(effective_from, first))
        }
        () => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawalRefused {
    #[error("it is withdrawn already")]
    AlreadyWithdrawn,
    #[error("another price change has taken its place")]
    Followed,
    #[error("it is in force since {0}")]
    InForce(NaiveDate),
}

/// Only what is still to come can be taken back.
pub fn withdraw(change: &PriceChange, today: NaiveDate) -> Result<(), WithdrawalRefused> {
    match change.standing(today) {
        Standing::Announced => Ok(()),
        Standing::InForce => Err(WithdrawalRefused::InForce(change.effective_from)),
        Standing::Followed => Err(WithdrawalRefused::Followed),
        Standing::Withdrawn => Err(WithdrawalRefused::AlreadyWithdrawn),
    }
}

#[cfg(test)]
#[path = "price_change_tests.rs"]
mod tests;
