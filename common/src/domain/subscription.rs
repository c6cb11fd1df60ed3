//! A subscription: its states, who has access when, and what cancelling does.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::billing_schedule::BillingSchedule;
use super::calendar::{Cycle, seoul_date};
use super::money::Won;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SubscriptionStatus {
    /// The first payment has not settled yet.
    Incomplete,
    Active,
    /// A renewal was declined and is being retried; access goes on.
    PastDue,
    Suspended,
    /// No further charge; access until the paid period ends.
    Canceled,
}

/// A row of `subscriptions`. The billing key stays sealed in here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subscription {
    pub id: Uuid,
    pub user_id: Uuid,
    pub plan: String,
    #[serde(rename = "billing_cycle")]
    pub cycle: Cycle,
    #[serde(rename = "billing_key")]
    pub sealed_billing_key: Option<String>,
    pub customer_key: String,
    pub card_number: Option<String>,
    pub card_registered_at: Option<DateTime<Utc>>,
    pub amount: Won,
    pub status: SubscriptionStatus,
    pub customer_email: String,
    pub customer_name: String,
    pub anchor_on: NaiveDate,
    /// The first period under the present plan, cycle and amount.
    pub terms_since_period: u32,
    /// In which month after the anchor that period begins.
    pub terms_since_month: u32,
    pub period_no: u32,
    pub current_period_start: NaiveDate,
    /// First day that is not paid for.
    pub current_period_end: NaiveDate,
    pub next_billing_date: DateTime<Utc>,
    pub charging_paused_at: Option<DateTime<Utc>>,
    /// Of one that began with a registered card: until then a card may pay the first period.
    pub repair_until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub activated_at: Option<DateTime<Utc>>,
    pub suspended_at: Option<DateTime<Utc>>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub cancel_reason: Option<String>,
    /// When an operator ended it at once; never taken back.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Whether the customer may use what is sold, at this instant.
pub fn has_access(subscription: &Subscription, now: DateTime<Utc>) -> bool {
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue => true,
        SubscriptionStatus::Canceled => {
            subscription.ended_at.is_none()
                && subscription.activated_at.is_some()
                && subscription.suspended_at.is_none()
                && seoul_date(now) < subscription.current_period_end
        }
        SubscriptionStatus::Incomplete | SubscriptionStatus::Suspended => false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefused {
    #[error("the subscription is canceled already")]
    AlreadyCanceled,
}

/// Whether a cancel changes anything. From any living state it does; a second one is an error that writes nothing.
pub fn cancel(subscription: &Subscription) -> Result<(), CancelRefused> {
    match subscription.status {
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Suspended => Ok(()),
        SubscriptionStatus::Canceled => Err(CancelRefused::AlreadyCanceled),
    }
}

/// What has become of the money that pays for the running period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodRefunds {
    /// Nothing, or only a part of it, has gone back.
    Kept,
    /// It may be on its way back.
    UnderWay,
    /// All of it has gone back.
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResumeRefused {
    #[error("the subscription is not canceled")]
    NotCanceled,
    #[error("nothing that is paid for is running any more")]
    PeriodEnded,
    #[error("money of the running period is on its way back")]
    RefundInProgress,
    #[error("the customer has another subscription by now")]
    AnotherSubscription,
}

/// Whether a cancel can still be taken back on this civil date in Seoul: only while the paid period runs.
///
/// One that never began, was ended at once, or was suspended or past due when it was canceled, has no paid period left.
pub fn resume(
    subscription: &Subscription,
    refunds: PeriodRefunds,
    today: NaiveDate,
) -> Result<(), ResumeRefused> {
    match subscription.status {
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Suspended => return Err(ResumeRefused::NotCanceled),
        SubscriptionStatus::Canceled => {}
    }
    let is_running = subscription.ended_at.is_none()
        && subscription.activated_at.is_some()
        && subscription.suspended_at.is_none()
        && today < subscription.current_period_end;
    match refunds {
        _ if !is_running => Err(ResumeRefused::PeriodEnded),
        PeriodRefunds::Kept => Ok(()),
        PeriodRefunds::UnderWay => Err(ResumeRefused::RefundInProgress),
        PeriodRefunds::Whole => Err(ResumeRefused::PeriodEnded),
    }
}

impl Subscription {
    /// On which days it is charged under its present terms.
    pub fn billing_schedule(&self) -> BillingSchedule {
        let Self { cycle, anchor_on, terms_since_period, terms_since_month, .. } = *self;
        BillingSchedule { cycle, anchor_on, from_no: terms_since_period, from_month: terms_since_month }
    }

    /// First day without access if it ends now, or since it was canceled: the paid period's end, or the day itself
    /// when nothing paid for was running.
    pub fn access_until(&self, now: DateTime<Utc>) -> NaiveDate {
        match self.status {
            SubscriptionStatus::Active | SubscriptionStatus::PastDue => self.current_period_end,
            SubscriptionStatus::Canceled if self.ended_at.is_some() => {
                seoul_date(self.ended_at.unwrap_or(now))
            }
            SubscriptionStatus::Canceled if self.activated_at.is_some() && self.suspended_at.is_none() => {
                self.current_period_end
            }
            SubscriptionStatus::Canceled => seoul_date(self.canceled_at.unwrap_or(now)),
            SubscriptionStatus::Suspended | SubscriptionStatus::Incomplete => seoul_date(now),
        }
    }

    /// The day of the next charge; `None` when none will come by itself.
    pub fn next_billing_on(&self) -> Option<NaiveDate> {
        match self.status {
            SubscriptionStatus::Incomplete | SubscriptionStatus::Active | SubscriptionStatus::PastDue => {
                Some(seoul_date(self.next_billing_date))
            }
            SubscriptionStatus::Suspended | SubscriptionStatus::Canceled => None,
        }
    }

    /// First day without access of a canceled subscription; `None` while it is not canceled.
    pub fn access_ends_on(&self) -> Option<NaiveDate> {
        self.canceled_at.map(|canceled_at| self.access_until(canceled_at))
    }

    /// Whether another card was registered after `instant`.
    pub fn has_new_card_since(&self, instant: DateTime<Utc>) -> bool {
        self.card_registered_at.is_some_and(|registered| registered > instant)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::calendar::seoul_midnight;

    pub(crate) fn subscription(status: SubscriptionStatus) -> Subscription {
        let start: NaiveDate = "2026-11-22".parse().unwrap();
        let end: NaiveDate = "2026-12-22".parse().unwrap();
        let created_at = seoul_midnight(start);
        Subscription {
            id: Uuid::nil(),
            user_id: Uuid::nil(),
            plan: "personal".into(),
            cycle: Cycle::Monthly,
            sealed_billing_key: Some("k1:sealed".into()),
            customer_key: "customer".into(),
            card_number: None,
            card_registered_at: Some(created_at),
            amount: Won::new(9_900).unwrap(),
            status,
            customer_email: "user@example.com".into(),
            customer_name: "홍길동".into(),
            anchor_on: start,
            terms_since_period: 0,
            terms_since_month: 0,
            period_no: 0,
            current_period_start: start,
            current_period_end: end,
            next_billing_date: seoul_midnight(end),
            charging_paused_at: None,
            repair_until: None,
            created_at,
            activated_at: Some(created_at),
            suspended_at: None,
            canceled_at: None,
            cancel_reason: None,
            ended_at: None,
        }
    }

    #[test]
    fn past_due_keeps_access_and_suspended_loses_it() {
        use SubscriptionStatus as S;
        let last_day = seoul_midnight("2026-12-22".parse().unwrap()) - chrono::TimeDelta::seconds(1);
        let after = seoul_midnight("2026-12-22".parse().unwrap());
        let seen: Vec<_> = [S::Incomplete, S::Active, S::PastDue, S::Suspended, S::Canceled]
            .map(|status| {
                let subscription = subscription(status);
                (has_access(&subscription, last_day), has_access(&subscription, after))
            })
            .into();
        assert_eq!(seen, [(false, false), (true, true), (true, true), (false, false), (true, false)]);
    }

    #[test]
    fn a_canceled_subscription_is_open_until_its_paid_end() {
        let canceled_at = seoul_midnight("2026-12-01".parse().unwrap());
        let canceled =
            Subscription { canceled_at: Some(canceled_at), ..subscription(SubscriptionStatus::Canceled) };
        let suspended = Subscription { suspended_at: Some(canceled_at), ..canceled.clone() };
        let never_began = Subscription { activated_at: None, ..canceled.clone() };
        let later = seoul_midnight("2027-01-05".parse().unwrap());
        let until = [canceled, suspended, never_began]
            .map(|subscription| subscription.access_until(later).to_string());
        assert_eq!(until, ["2026-12-22", "2026-12-01", "2026-12-01"]);
    }

    #[test]
    fn a_second_cancel_is_refused() {
        assert_eq!(cancel(&subscription(SubscriptionStatus::Active)), Ok(()));
        assert_eq!(cancel(&subscription(SubscriptionStatus::Canceled)), Err(CancelRefused::AlreadyCanceled));
    }

    #[test]
    fn a_cancel_is_taken_back_only_while_what_is_paid_for_runs() {
        use SubscriptionStatus as S;
        let canceled = subscription(S::Canceled);
        let on = |subscription: &Subscription, refunds, date: &str| {
            resume(subscription, refunds, date.parse().unwrap())
        };
        assert_eq!(on(&canceled, PeriodRefunds::Kept, "2026-12-21"), Ok(()));
        let ended = Err(ResumeRefused::PeriodEnded);
        assert_eq!(on(&canceled, PeriodRefunds::Kept, "2026-12-22"), ended);
        assert_eq!(on(&canceled, PeriodRefunds::Whole, "2026-12-21"), ended);
        let under_way = on(&canceled, PeriodRefunds::UnderWay, "2026-12-21");
        assert_eq!(under_way, Err(ResumeRefused::RefundInProgress));
        let never_began = Subscription { activated_at: None, ..canceled.clone() };
        let suspended = Subscription { suspended_at: Some(canceled.created_at), ..canceled };
        for gone in [never_began, suspended] {
            assert_eq!(on(&gone, PeriodRefunds::Kept, "2026-12-01"), ended);
        }
        for living in [S::Incomplete, S::Active, S::PastDue, S::Suspended] {
            let refused = on(&subscription(living), PeriodRefunds::Kept, "2026-12-01");
            assert_eq!(refused, Err(ResumeRefused::NotCanceled));
        }
    }
}
