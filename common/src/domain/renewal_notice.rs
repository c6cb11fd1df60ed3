//! Whether a renewal that an e-mail announces will be charged, as things stand.

use super::calendar::seoul_date;
use super::plan_change::{NextTerms, PlanChange, terms_on};
use super::subscription::{Subscription, SubscriptionStatus};

/// What becomes of the announcement of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    Send,
    /// The charge would not happen now, and may again: a pause ends, a cancel is taken back, a consent is given.
    Wait,
    /// The charge never happens.
    Drop,
}

/// `pending` is all that waits for this subscription's renewals; `charging_enabled` is the operators' global switch.
pub fn announcement(
    subscription: &Subscription,
    pending: &[PlanChange],
    charging_enabled: bool,
) -> Announcement {
    let is_stopped = subscription.charging_paused_at.is_some() || !charging_enabled;
    let terms = terms_on(subscription, pending, seoul_date(subscription.next_billing_date));
    match (subscription.status, terms) {
        _ if subscription.ended_at.is_some() => Announcement::Drop,
        (SubscriptionStatus::Active, NextTerms::Agreed(_)) if !is_stopped => Announcement::Send,
        (
            SubscriptionStatus::Incomplete
            | SubscriptionStatus::Active
            | SubscriptionStatus::PastDue
            | SubscriptionStatus::Suspended
            | SubscriptionStatus::Canceled,
            NextTerms::Agreed(_) | NextTerms::AwaitsConsent(_),
        ) => Announcement::Wait,
    }
}
