//! How a customer has answered a new price, in one word for operators.

use super::plan_change::ChangeEnd;

/// In the order in which a report counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Answer {
    Consented,
    /// Asked, and silent so far.
    Asked,
    NotYetAsked,
    /// It pays no more than before.
    NoneNeeded,
    /// The customer's own change comes first.
    OwnChange,
    /// It pays the new price.
    Applied,
    /// Ended for want of a consent.
    Ended,
    /// The customer left, whatever the price.
    Canceled,
    Withdrawn,
    /// Another price change came in its place.
    Replaced,
}

/// What is known of one plan change.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// None: pending.
    pub end: Option<ChangeEnd>,
    pub raises: bool,
    pub own_change: bool,
    pub reply: Reply,
    pub subscription: SubscriptionState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    NotAsked,
    Silent,
    Consented,
}

/// Whether the subscription continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    Continues,
    Canceled,
    /// Canceled because the change ended without a consent.
    EndedByChange,
}

pub fn answer(facts: Facts) -> Answer {
    match (facts.end, facts.subscription) {
        (Some(ChangeEnd::Applied), _) => Answer::Applied,
        (Some(ChangeEnd::Withdrawn), _) => Answer::Withdrawn,
        (Some(ChangeEnd::Superseded), _) | (None, SubscriptionState::Continues) if facts.own_change => {
            Answer::OwnChange
        }
        (Some(ChangeEnd::Superseded), _) => Answer::Replaced,
        (Some(ChangeEnd::Lapsed), SubscriptionState::EndedByChange) => Answer::Ended,
        (Some(ChangeEnd::Lapsed), SubscriptionState::Continues | SubscriptionState::Canceled)
        | (None, SubscriptionState::Canceled | SubscriptionState::EndedByChange) => Answer::Canceled,
        (None, SubscriptionState::Continues) if !facts.raises => Answer::NoneNeeded,
        (None, SubscriptionState::Continues) => match facts.reply {
            Reply::Consented => Answer::Consented,
            Reply::Silent => Answer::Asked,
            Reply::NotAsked => Answer::NotYetAsked,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Facts = Facts {
        end: None,
        raises: true,
        own_change: false,
        reply: Reply::Silent,
        subscription: SubscriptionState::Continues,
    };

    #[test]
    fn a_cancel_or_a_request_says_more_than_a_consent() {
        assert_eq!(answer(SILENT), Answer::Asked);
        assert_eq!(answer(Facts { reply: Reply::NotAsked, ..SILENT }), Answer::NotYetAsked);
        let consented = Facts { reply: Reply::Consented, ..SILENT };
        assert_eq!(answer(consented), Answer::Consented);
        assert_eq!(answer(Facts { raises: false, ..SILENT }), Answer::NoneNeeded);
        let request = Facts { own_change: true, ..consented };
        assert_eq!(answer(request), Answer::OwnChange);
        assert_eq!(answer(Facts { subscription: SubscriptionState::Canceled, ..request }), Answer::Canceled);
    }

    #[test]
    fn afterwards_it_says_how_it_ended_and_why() {
        let ended = |end, facts: Facts| answer(Facts { end: Some(end), ..facts });
        assert_eq!(ended(ChangeEnd::Applied, SILENT), Answer::Applied);
        assert_eq!(ended(ChangeEnd::Withdrawn, SILENT), Answer::Withdrawn);
        assert_eq!(ended(ChangeEnd::Superseded, SILENT), Answer::Replaced);
        assert_eq!(ended(ChangeEnd::Superseded, Facts { own_change: true, ..SILENT }), Answer::OwnChange);
        let canceled = Facts { subscription: SubscriptionState::Canceled, ..SILENT };
        assert_eq!(ended(ChangeEnd::Lapsed, canceled), Answer::Canceled);
        assert_eq!(
            ended(ChangeEnd::Lapsed, Facts { subscription: SubscriptionState::EndedByChange, ..SILENT }),
            Answer::Ended
        );
    }
}
