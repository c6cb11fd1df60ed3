//! Whether a customer may buy a subscription beside what they hold. A second purchase would be charged every period, too.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::calendar::seoul_date;
use super::subscription::{PeriodRefunds, Subscription, SubscriptionStatus, resume};

/// What a purchase does to the subscription that the customer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purchase {
    /// Nothing is in the way.
    Allowed,
    /// A suspended subscription ends in the same commit, and the new one takes its place.
    Replaces(Uuid),
    /// Nothing is recorded and nothing is sent to the gateway.
    Refused(AlreadySubscribed),
}

/// The subscription that is in the way of a purchase, and what its customer can do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the customer already has subscription {subscription_id}")]
pub struct AlreadySubscribed {
    pub subscription_id: Uuid,
    pub next_action: Option<NextAction>,
}

/// What brings the existing subscription to life again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NextAction {
    RegisterPaymentMethod,
    Resume,
}

/// Decides on one subscription that the customer holds. `refunds` is about its running period.
pub fn purchase_beside(held: &Subscription, refunds: PeriodRefunds, now: DateTime<Utc>) -> Purchase {
    let refused =
        |next_action| Purchase::Refused(AlreadySubscribed { subscription_id: held.id, next_action });
    let needs_card = held.sealed_billing_key.is_none().then_some(NextAction::RegisterPaymentMethod);
    match held.status {
        SubscriptionStatus::Active => refused(needs_card),
        SubscriptionStatus::PastDue => refused(Some(NextAction::RegisterPaymentMethod)),
        // A first payment that was sent may still be captured. Only one that began with a card can be repaired by another card.
        SubscriptionStatus::Incomplete => refused(held.repair_until.and(needs_card)),
        SubscriptionStatus::Suspended => Purchase::Replaces(held.id),
        SubscriptionStatus::Canceled => match resume(held, refunds, seoul_date(now)) {
            Ok(()) => refused(Some(NextAction::Resume)),
            Err(_) => Purchase::Allowed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{calendar::seoul_midnight, subscription::tests::subscription};

    fn decide(held: &Subscription) -> Purchase {
        purchase_beside(held, PeriodRefunds::Kept, seoul_midnight("2026-12-01".parse().unwrap()))
    }

    fn refused(held: &Subscription, next_action: Option<NextAction>) -> Purchase {
        Purchase::Refused(AlreadySubscribed { subscription_id: held.id, next_action })
    }

    #[test]
    fn a_living_subscription_is_in_the_way_of_a_second_one() {
        use SubscriptionStatus as S;
        for (status, action) in
            [(S::Active, None), (S::PastDue, Some(NextAction::RegisterPaymentMethod)), (S::Incomplete, None)]
        {
            let held = subscription(status);
            assert_eq!(decide(&held), refused(&held, action), "{status}");
        }
    }

    #[test]
    fn one_without_a_card_points_to_the_registration_of_a_card() {
        let card = Some(NextAction::RegisterPaymentMethod);
        let active = Subscription { sealed_billing_key: None, ..subscription(SubscriptionStatus::Active) };
        assert_eq!(decide(&active), refused(&active, card));
        let incomplete = Subscription {
            sealed_billing_key: None,
            repair_until: Some(active.created_at),
            ..subscription(SubscriptionStatus::Incomplete)
        };
        assert_eq!(decide(&incomplete), refused(&incomplete, card));
    }

    #[test]
    fn a_suspended_one_is_replaced() {
        let held = subscription(SubscriptionStatus::Suspended);
        assert_eq!(decide(&held), Purchase::Replaces(held.id));
    }

    #[test]
    fn a_canceled_one_with_paid_time_left_points_to_resume() {
        let held = subscription(SubscriptionStatus::Canceled);
        assert_eq!(decide(&held), refused(&held, Some(NextAction::Resume)));
        let over = seoul_midnight(held.current_period_end);
        assert_eq!(purchase_beside(&held, PeriodRefunds::Kept, over), Purchase::Allowed);
        let refunded = purchase_beside(&held, PeriodRefunds::Whole, held.created_at);
        assert_eq!(refunded, Purchase::Allowed);
    }
}
