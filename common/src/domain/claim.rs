//! What an operator says became of a payment that needs review, and what follows from the gateway's answer.

use strum::{Display, EnumString, IntoStaticStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Claim {
    /// The gateway has taken the money, under the payment key that the operator names.
    Paid,
    NotPaid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ClaimState {
    /// The gateway is being asked.
    Checking,
    /// The gateway cannot tell: a second operator has to agree.
    NeedsAgreement,
    /// It is so, and the payment is settled.
    Confirmed,
    /// It is not so, or not certain.
    Refused,
}

/// What the gateway says of the payment when it is asked because of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GatewayAnswer {
    Paid,
    /// It was declined, or the gateway knows no such order a day after it was sent.
    NotPaid,
    CannotTell,
}

/// What becomes of a claim. Nothing is ever paid on an operator's word alone.
pub fn judge(claim: Claim, answer: GatewayAnswer, is_agreed: bool) -> ClaimState {
    match (claim, answer) {
        (Claim::Paid, GatewayAnswer::Paid) | (Claim::NotPaid, GatewayAnswer::NotPaid) => {
            ClaimState::Confirmed
        }
        (Claim::Paid, GatewayAnswer::NotPaid | GatewayAnswer::CannotTell)
        | (Claim::NotPaid, GatewayAnswer::Paid) => ClaimState::Refused,
        (Claim::NotPaid, GatewayAnswer::CannotTell) if is_agreed => ClaimState::Confirmed,
        (Claim::NotPaid, GatewayAnswer::CannotTell) => ClaimState::NeedsAgreement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paid_needs_the_gateways_word_whoever_agrees() {
        for is_agreed in [false, true] {
            let of = |answer| judge(Claim::Paid, answer, is_agreed);
            assert_eq!(of(GatewayAnswer::Paid), ClaimState::Confirmed);
            assert_eq!(of(GatewayAnswer::NotPaid), ClaimState::Refused);
            assert_eq!(of(GatewayAnswer::CannotTell), ClaimState::Refused);
        }
    }

    #[test]
    fn not_paid_needs_the_gateways_word_or_a_second_operator() {
        let of = |answer, is_agreed| judge(Claim::NotPaid, answer, is_agreed);
        assert_eq!(of(GatewayAnswer::NotPaid, false), ClaimState::Confirmed);
        assert_eq!(of(GatewayAnswer::CannotTell, false), ClaimState::NeedsAgreement);
        assert_eq!(of(GatewayAnswer::CannotTell, true), ClaimState::Confirmed);
        assert_eq!(of(GatewayAnswer::Paid, true), ClaimState::Refused, "captured money is never given up");
    }
}
