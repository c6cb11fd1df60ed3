//! On which days a subscription is charged, also after its cycle has changed: the anchor never moves.

use chrono::NaiveDate;

use super::calendar::{Cycle, OutOfCalendar, Period};

/// From period `from_no` on, which begins `from_month` months after the anchor, there is one period each cycle.
///
/// Charged monthly since 31 January and yearly from 28 February on, it is charged on 28 or 29 February; monthly
/// again from there, on 31 March.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingSchedule {
    pub cycle: Cycle,
    pub anchor_on: NaiveDate,
    pub from_no: u32,
    pub from_month: u32,
}

impl BillingSchedule {
    /// Of a subscription whose cycle has never changed.
    pub fn since(anchor_on: NaiveDate, cycle: Cycle) -> Self {
        Self { cycle, anchor_on, from_no: 0, from_month: 0 }
    }

    /// In which month after the anchor period `no` begins. An error for periods before these terms.
    pub fn month_of(self, no: u32) -> Result<u32, OutOfCalendar> {
        let since = no.checked_sub(self.from_no).ok_or(OutOfCalendar)?;
        let months = since.checked_mul(self.cycle.months()).ok_or(OutOfCalendar)?;
        self.from_month.checked_add(months).ok_or(OutOfCalendar)
    }

    /// First and last-plus-one day of period `no`. An error for periods before these terms.
    pub fn period(self, no: u32) -> Result<Period, OutOfCalendar> {
        let next = no.checked_add(1).ok_or(OutOfCalendar)?;
        let start = |month| Cycle::Monthly.period_start(self.anchor_on, month);
        Ok(Period { no, start: start(self.month_of(no)?)?, end: start(self.month_of(next)?)? })
    }

    /// The same anchor at another cycle, from period `no` on.
    pub fn changed(self, no: u32, cycle: Cycle) -> Result<Self, OutOfCalendar> {
        Ok(Self { cycle, from_no: no, from_month: self.month_of(no)?, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_31st_survives_a_year_that_began_in_february() {
        let monthly = BillingSchedule::since(date("2027-01-31"), Cycle::Monthly);
        let yearly = monthly.changed(1, Cycle::Yearly).unwrap();
        let ends: Vec<_> = [1, 2].map(|no| yearly.period(no).unwrap().end).into();
        assert_eq!(ends, [date("2028-02-29"), date("2029-02-28")]);
        let back = yearly.changed(2, Cycle::Monthly).unwrap();
        let again: Vec<_> = [2, 3].map(|no| back.period(no).unwrap().start).into();
        assert_eq!(again, [date("2028-02-29"), date("2028-03-31")]);
        assert_eq!(back.period(1), Err(OutOfCalendar));
    }

    proptest! {
        #[test]
        fn cycle_changes_leave_no_gap_and_no_overlap(
            day in 0u32..1_500, changes in prop::collection::vec((1u32..5, any::<bool>()), 0..8),
        ) {
            let anchor = date("2027-01-01") + chrono::Days::new(day.into());
            let mut schedule = BillingSchedule::since(anchor, Cycle::Monthly);
            let (mut no, mut end) = (0, anchor);
            for (periods, yearly) in changes {
                for _ in 0..periods {
                    let period = schedule.period(no).unwrap();
                    prop_assert_eq!(period.start, end);
                    prop_assert!(period.end > period.start);
                    (no, end) = (no + 1, period.end);
                }
                let cycle = if yearly { Cycle::Yearly } else { Cycle::Monthly };
                schedule = schedule.changed(no, cycle).unwrap();
                let month = schedule.month_of(no).unwrap();
                prop_assert_eq!(end, Cycle::Monthly.period_start(anchor, month).unwrap());
            }
        }
    }
}
