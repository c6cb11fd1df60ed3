//! What a customer has made of a new price, in one word for operators.

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
    OwnWish,
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
    pub consented: bool,
    pub asked: bool,
    pub own_wish: bool,
    /// The subscription is.
    pub canceled: bool,
    /// In the same breath as the change ended.
    pub ended_by_it: bool,
}

pub fn answer(facts: Facts) -> Answer {
    match facts.end {
        Some(ChangeEnd::Applied) => Answer::Applied,
        Some(ChangeEnd::Withdrawn) => Answer::Withdrawn,
        Some(ChangeEnd::Superseded) if facts.own_wish => Answer::OwnWish,
        Some(ChangeEnd::Superseded) => Answer::Replaced,
        Some(ChangeEnd::Lapsed) if facts.ended_by_it => Answer::Ended,
        Some(ChangeEnd::Lapsed) => Answer::Canceled,
        None if facts.canceled => Answer::Canceled,
        None if facts.own_wish => Answer::OwnWish,
        None if !facts.raises => Answer::NoneNeeded,
        None if facts.consented => Answer::Consented,
        None if facts.asked => Answer::Asked,
        None => Answer::NotYetAsked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Facts = Facts {
        end: None,
        raises: true,
        consented: false,
        asked: true,
        own_wish: false,
        canceled: false,
        ended_by_it: false,
    };

    #[test]
    fn while_it_is_to_come_a_cancel_and_a_wish_say_more_than_a_consent() {
        assert_eq!(answer(SILENT), Answer::Asked);
        assert_eq!(answer(Facts { asked: false, ..SILENT }), Answer::NotYetAsked);
        let consented = Facts { consented: true, ..SILENT };
        assert_eq!(answer(consented), Answer::Consented);
        assert_eq!(answer(Facts { raises: false, ..SILENT }), Answer::NoneNeeded);
        let wish = Facts { own_wish: true, ..consented };
        assert_eq!(answer(wish), Answer::OwnWish);
        assert_eq!(answer(Facts { canceled: true, ..wish }), Answer::Canceled);
    }

    #[test]
    fn afterwards_it_says_how_it_ended_and_why() {
        let ended = |end, facts: Facts| answer(Facts { end: Some(end), ..facts });
        assert_eq!(ended(ChangeEnd::Applied, SILENT), Answer::Applied);
        assert_eq!(ended(ChangeEnd::Withdrawn, SILENT), Answer::Withdrawn);
        assert_eq!(ended(ChangeEnd::Superseded, SILENT), Answer::Replaced);
        assert_eq!(ended(ChangeEnd::Superseded, Facts { own_wish: true, ..SILENT }), Answer::OwnWish);
        let canceled = Facts { canceled: true, ..SILENT };
        assert_eq!(ended(ChangeEnd::Lapsed, canceled), Answer::Canceled);
        assert_eq!(ended(ChangeEnd::Lapsed, Facts { ended_by_it: true, ..canceled }), Answer::Ended);
    }
}
