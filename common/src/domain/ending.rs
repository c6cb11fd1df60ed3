//! Ending a subscription at once: whether it can be, which days were not used, and what of the money that is.

use chrono::{DateTime, NaiveDate, Utc};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::money::Won;
use super::subscription::{Subscription, SubscriptionStatus, has_access};

/// What goes back when a subscription is ended at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RefundPolicy {
    /// The share of the days that were not used.
    ProRata,
    None,
}

/// A row of `subscription_endings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub subscription_id: Uuid,
    pub request_key: Option<String>,
    pub policy: RefundPolicy,
    pub reason: String,
    pub requested_by: String,
    pub unused: Unused,
    pub refund_id: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndRefused {
    #[error("the subscription has ended already")]
    AlreadyEnded,
}

/// Whether there is anything left to end: a canceled subscription is ended as long as it can be used.
pub fn end(subscription: &Subscription, now: DateTime<Utc>) -> Result<(), EndRefused> {
    match subscription.status {
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Suspended => Ok(()),
        SubscriptionStatus::Canceled if has_access(subscription, now) => Ok(()),
        SubscriptionStatus::Canceled => Err(EndRefused::AlreadyEnded),
    }
}

/// Civil days in Seoul of a period: those not used, and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unused {
    pub days: u32,
    pub of: u32,
}

/// The days after today. The day on which it ends was used; a period that is over, or was never paid for, has none left.
pub fn unused_days(subscription: &Subscription, today: NaiveDate) -> Unused {
    let (start, end) = (subscription.current_period_start, subscription.current_period_end);
    let days_between = |from: NaiveDate, to: NaiveDate| u32::try_from((to - from).num_days()).unwrap_or(0);
    let of = days_between(start, end);
    let after_today = days_between(today.max(start), end).saturating_sub(1);
    Unused { days: after_today, of }
}

/// The share of what was paid that the unused days are of all days, in whole won: a fraction of a won is kept.
pub fn pro_rata(paid: Won, unused: Unused) -> Won {
    let Unused { days, of } = unused;
    let share = i64::from(paid.get()).saturating_mul(i64::from(days)).checked_div(i64::from(of));
    // A share is never more than the whole, which is whole won.
    share.and_then(|share| Won::new(share).ok()).unwrap_or(Won::ZERO).min(paid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::subscription::tests::subscription;
    use proptest::prelude::*;

    fn unused(today: &str) -> Unused {
        unused_days(&subscription(SubscriptionStatus::Active), today.parse().unwrap())
    }

    #[test]
    fn the_day_of_the_end_counts_as_used() {
        assert_eq!(unused("2026-11-22"), Unused { days: 29, of: 30 });
        assert_eq!(unused("2026-12-07"), Unused { days: 14, of: 30 });
        assert_eq!(unused("2026-12-21"), Unused { days: 0, of: 30 });
        assert_eq!(unused("2027-02-01"), Unused { days: 0, of: 30 });
    }

    #[test]
    fn a_fraction_of_a_won_is_kept() {
        let paid = Won::new(9_900).unwrap();
        let shares = [29, 14, 1, 0].map(|days| pro_rata(paid, Unused { days, of: 31 }).get());
        assert_eq!(shares, [9_261, 4_470, 319, 0]);
    }

    #[test]
    fn what_is_canceled_can_be_ended_as_long_as_it_can_be_used() {
        use SubscriptionStatus as S;
        let now = "2026-12-01T00:00:00Z".parse().unwrap();
        for living in [S::Incomplete, S::Active, S::PastDue, S::Suspended, S::Canceled] {
            assert_eq!(end(&subscription(living), now), Ok(()));
        }
        let ended = Subscription { ended_at: Some(now), ..subscription(S::Canceled) };
        assert_eq!(end(&ended, now), Err(EndRefused::AlreadyEnded));
        let over = "2026-12-22T00:00:00Z".parse().unwrap();
        assert_eq!(end(&subscription(S::Canceled), over), Err(EndRefused::AlreadyEnded));
    }

    proptest! {
        #[test]
        fn the_share_is_exact_to_the_won_and_never_more_than_was_paid(
            paid in 0..=i32::MAX, of in 1u32..=366, days in 0u32..=366,
        ) {
            let days = days % of;
            let share = pro_rata(Won::new(paid.into()).unwrap(), Unused { days, of });
            prop_assert!(share.get() <= paid);
            let owed = i64::from(paid) * i64::from(days) - i64::from(share.get()) * i64::from(of);
            prop_assert!((0..i64::from(of)).contains(&owed), "off by a won or more: {owed}");
        }

        #[test]
        fn a_day_later_is_never_worth_more(paid in 0..=i32::MAX, of in 2u32..=366, days in 1u32..=365) {
            let (paid, days) = (Won::new(paid.into()).unwrap(), 1 + days % (of - 1));
            let (today, tomorrow) = (Unused { days, of }, Unused { days: days - 1, of });
            prop_assert!(pro_rata(paid, tomorrow) <= pro_rata(paid, today));
        }

        #[test]
        fn the_days_of_any_date_are_some_of_the_period(back in -400i64..400) {
            let subscription = subscription(SubscriptionStatus::Active);
            let today = subscription.current_period_start + chrono::TimeDelta::days(back);
            let Unused { days, of } = unused_days(&subscription, today);
            prop_assert!(of == 30 && days < of);
        }
    }
}
