//! An invoice: what one period costs, when it is due, and which periods an outage has left unpaid.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::billing_schedule::BillingSchedule;
use super::calendar::{OutOfCalendar, Period};
use super::money::Won;
use crate::id::new_id;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum InvoiceStatus {
    Open,
    Paid,
    /// Nothing is owed: the subscription ended before it was charged.
    Void,
    /// The dunning schedule is used up; only a new card brings it back.
    Uncollectible,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub period: Period,
    /// Civil date in Seoul on which the card is first charged for it.
    pub due_on: NaiveDate,
    pub amount: Won,
    pub status: InvoiceStatus,
    pub first_failed_at: Option<DateTime<Utc>>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub held_since: Option<DateTime<Utc>>,
    /// When an operator let it be charged although its period is over.
    pub released_at: Option<DateTime<Utc>>,
}

impl Invoice {
    /// An open invoice for one period, due on its first day.
    pub fn for_period(
        subscription_id: Uuid,
        amount: Won,
        period: Period,
        held_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: new_id(now),
            subscription_id,
            period,
            due_on: period.start,
            amount,
            status: InvoiceStatus::Open,
            first_failed_at: None,
            next_attempt_at: None,
            held_since,
            released_at: None,
        }
    }

    /// The invoices of the periods that are due: the current one to charge, older ones on hold for an operator.
    pub fn for_periods(
        subscription_id: Uuid,
        amount: Won,
        due: &DuePeriods,
        now: DateTime<Utc>,
    ) -> Vec<Self> {
        let older = due.older.iter().map(|period| (*period, Some(now)));
        older
            .chain([(due.current, None)])
            .map(|(period, held_since)| Self::for_period(subscription_id, amount, period, held_since, now))
            .collect()
    }
}

/// The periods that have begun and are not paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePeriods {
    /// The one that contains today: it is charged.
    pub current: Period,
    /// Earlier ones, missed while nothing ran: they wait for an operator, so that an outage never
    /// ends in several charges at once.
    pub older: Vec<Period>,
}

/// Which periods after `paid_no` have begun by `today`, under the terms of `schedule`. None: nothing is due.
pub fn due_periods(
    schedule: BillingSchedule,
    paid_no: u32,
    today: NaiveDate,
) -> Result<Option<DuePeriods>, OutOfCalendar> {
    let mut begun = Vec::new();
    let mut no = paid_no.checked_add(1).ok_or(OutOfCalendar)?.max(schedule.from_no);
    loop {
        let period = schedule.period(no)?;
        if period.start > today {
            break;
        }
        begun.push(period);
        no = no.checked_add(1).ok_or(OutOfCalendar)?;
    }
    Ok(begun.pop().map(|current| DuePeriods { current, older: begun }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::Cycle;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn monthly() -> BillingSchedule {
        BillingSchedule::since(date("2026-11-22"), Cycle::Monthly)
    }

    #[test]
    fn nothing_is_due_the_day_before_and_one_period_on_the_day() {
        let due = |today| due_periods(monthly(), 0, date(today)).unwrap();
        assert_eq!(due("2026-12-21"), None);
        let due = due("2026-12-22").unwrap();
        assert_eq!((due.current.no, due.current.start, due.older), (1, date("2026-12-22"), vec![]));
    }

    #[test]
    fn after_forty_days_away_the_older_period_waits() {
        let due = due_periods(monthly(), 0, date("2027-01-31")).unwrap().unwrap();
        assert_eq!(due.current.no, 2);
        assert_eq!(due.older.iter().map(|p| p.no).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn periods_before_the_present_terms_are_not_counted_again() {
        let yearly = monthly().changed(2, Cycle::Yearly).unwrap();
        let due = due_periods(yearly, 0, date("2027-01-31")).unwrap().unwrap();
        assert_eq!((due.current.no, due.current.start, due.older), (2, date("2027-01-22"), vec![]));
    }
}
