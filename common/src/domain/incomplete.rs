//! A subscription that began with a registered card and has not been paid yet: how long it may be, and from when it counts.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::calendar::seoul_date;
use super::payment::Payment;
use super::subscription::{Subscription, SubscriptionStatus};

/// So long another card may pay the first period; then the subscription ends without having begun.
///
/// As long as Stripe keeps a subscription `incomplete` (docs.stripe.com/billing/subscriptions/overview).
pub const REPAIR_TIME: TimeDelta = TimeDelta::hours(23);

/// What becomes of it at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtDeadline {
    /// It began, was canceled, or has no deadline.
    Nothing,
    NotYet(DateTime<Utc>),
    /// Money may be on its way: its answer decides.
    InFlight,
    End,
}

pub fn at_deadline(subscription: &Subscription, attempts: &[Payment], now: DateTime<Utc>) -> AtDeadline {
    match (subscription.status, subscription.repair_until) {
        (
            SubscriptionStatus::Active
            | SubscriptionStatus::PastDue
            | SubscriptionStatus::Suspended
            | SubscriptionStatus::Canceled,
            _,
        )
        | (SubscriptionStatus::Incomplete, None) => AtDeadline::Nothing,
        (SubscriptionStatus::Incomplete, Some(until)) if now < until => AtDeadline::NotYet(until),
        (SubscriptionStatus::Incomplete, Some(_)) => {
            let may_have_left = |attempt: &Payment| attempt.is_unfinished() && attempt.sent_at.is_some();
            if attempts.iter().any(may_have_left) { AtDeadline::InFlight } else { AtDeadline::End }
        }
    }
}

/// The civil date in Seoul from which a subscription's periods are counted: that of the capture.
///
/// The gateway's clock is believed only between the instants of our question and its answer: in tests it may stand in another
/// year than ours.
pub fn first_day(
    first_sent_at: Option<DateTime<Utc>>,
    paid_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> NaiveDate {
    let captured_at = paid_at.min(now);
    seoul_date(first_sent_at.map_or(captured_at, |sent| captured_at.max(sent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::subscription::tests::subscription;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn only_what_has_not_begun_by_its_deadline_ends() {
        use SubscriptionStatus as S;
        let (until, before) = (at("2026-11-23T09:00:00+09:00"), at("2026-11-23T08:59:59+09:00"));
        let registered =
            |status| Subscription { repair_until: Some(until), activated_at: None, ..subscription(status) };
        assert_eq!(at_deadline(&registered(S::Incomplete), &[], before), AtDeadline::NotYet(until));
        assert_eq!(at_deadline(&registered(S::Incomplete), &[], until), AtDeadline::End);
        for begun in [S::Active, S::PastDue, S::Suspended, S::Canceled] {
            assert_eq!(at_deadline(&registered(begun), &[], until), AtDeadline::Nothing);
        }
        let confirmed = Subscription { repair_until: None, ..registered(S::Incomplete) };
        assert_eq!(at_deadline(&confirmed, &[], until), AtDeadline::Nothing);
    }

    #[test]
    fn the_first_day_is_the_captures_within_question_and_answer() {
        let (asked, answered) = (at("2026-11-22T23:59:58+09:00"), at("2026-11-23T00:00:03+09:00"));
        let day = |paid_at: &str| first_day(Some(asked), at(paid_at), answered).to_string();
        assert_eq!(day("2026-11-22T23:59:59+09:00"), "2026-11-22");
        assert_eq!(day("2026-11-23T00:00:01+09:00"), "2026-11-23");
        assert_eq!(day("2020-01-01T00:00:00+09:00"), "2026-11-22");
        assert_eq!(day("2030-01-01T00:00:00+09:00"), "2026-11-23");
    }
}
