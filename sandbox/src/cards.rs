//! Which card pays and which does not: the guide's four test cards, and what scripts say on top.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// The guide's "success" card, used where a script names none.
pub(crate) const GOOD_CARD: &str = "4300000000000001";

/// What the bank does with a card from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Outcome {
    Pays,
    /// Declines with this Toss code.
    Refuses(String),
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        if text == "pays" { Self::Pays } else { Self::Refuses(text) }
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pays => "pays".to_owned(),
            Outcome::Refuses(code) => code,
        }
    }
}

/// Personas by billing key, customer and card number; the narrowest one set decides.
#[derive(Debug, Default)]
pub(crate) struct Cards {
    numbers: HashMap<String, Outcome>,
    customers: HashMap<String, Outcome>,
    billing_keys: HashMap<String, Outcome>,
}

impl Cards {
    pub(crate) fn set_number(&mut self, number: &str, outcome: Outcome) {
        self.numbers.insert(digits(number), outcome);
    }

    pub(crate) fn set_customer(&mut self, customer_key: &str, outcome: Outcome) {
        self.customers.insert(customer_key.to_owned(), outcome);
    }

    pub(crate) fn set_billing_key(&mut self, billing_key: &str, outcome: Outcome) {
        self.billing_keys.insert(billing_key.to_owned(), outcome);
    }

    /// What the bank says to a payment.
    pub(crate) fn decide(
        &self,
        number: &str,
        customer_key: Option<&str>,
        billing_key: Option<&str>,
    ) -> Result<(), Refusal> {
        let persona = billing_key
            .and_then(|key| self.billing_keys.get(key))
            .or_else(|| customer_key.and_then(|key| self.customers.get(key)))
            .or_else(|| self.numbers.get(number));
        match persona {
            Some(Outcome::Pays) => Ok(()),
            Some(Outcome::Refuses(code)) => Err(Refusal::of(code)),
            None => guide_card(number).map_or(Ok(()), |code| Err(Refusal::of(code))),
        }
    }

    /// What issuing a billing key says: only the card's validity counts, its balance and limit do not.
    pub(crate) fn check_validity(&self, number: &str, customer_key: &str) -> Result<(), Refusal> {
        const VALIDITY: [&str; 11] = [
            "EXCEED_MAX_AUTH_COUNT",
            "INVALID_BIRTH_DAY_FORMAT",
            "INVALID_CARD_EXPIRATION",
            "INVALID_CARD_IDENTITY",
            "INVALID_CARD_LOST_OR_STOLEN",
            "INVALID_CARD_NUMBER",
            "INVALID_CARD_PASSWORD",
            "INVALID_REJECT_CARD",
            "INVALID_STOPPED_CARD",
            "NOT_REGISTERED_CARD_COMPANY",
            "NOT_SUPPORTED_CARD_TYPE",
        ];
        match self.decide(number, Some(customer_key), None) {
            Err(refusal) if VALIDITY.contains(&refusal.code.as_str()) => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// The guide's cards. Toss has one code for "over the limit or no balance"; so that the two cards can be told
/// apart, the limit card answers with the code of the daily limit.
fn guide_card(number: &str) -> Option<&'static str> {
    match number {
        "4300000000000002" => Some("REJECT_CARD_PAYMENT"),
        "4300000000000003" => Some("EXCEED_MAX_PAYMENT_AMOUNT"),
        "4300000000000004" => Some("INVALID_STOPPED_CARD"),
        _ => None,
    }
}

/// A card number without the dashes and blanks people type.
pub(crate) fn digits(number: &str) -> String {
    number.chars().filter(|c| !matches!(c, '-' | ' ')).collect()
}

pub(crate) fn is_card_number(digits: &str) -> bool {
    (13..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `43301234****123*`: the middle four and the last digit hidden.
pub(crate) fn masked(number: &str) -> String {
    let last = number.len().saturating_sub(1);
    number.chars().enumerate().map(|(i, c)| if (8..12).contains(&i) || i == last { '*' } else { c }).collect()
}

/// Two-character issuer codes as in Toss's table: 하나 for the card measured in Toss's test mode, else 신한.
pub(crate) fn issuer_code(number: &str) -> &'static str {
    if number.starts_with("941") { "21" } else { "41" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_masked_like_toss_masks_it() {
        assert_eq!(masked("4330123412341234"), "43301234****123*");
    }

    #[test]
    fn the_narrowest_persona_decides() {
        let mut cards = Cards::default();
        cards.set_number("4300-0000-0000-0002", Outcome::Pays);
        assert!(cards.decide("4300000000000002", None, None).is_ok());
        cards.set_customer("who", Outcome::Refuses("FDS_ERROR".to_owned()));
        assert_eq!(cards.decide("4300000000000002", Some("who"), None).unwrap_err().status, 403);
        cards.set_billing_key("key", Outcome::Pays);
        assert!(cards.decide("4300000000000002", Some("who"), Some("key")).is_ok());
    }
}
