//! Request bodies and Toss's rules for their fields.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::payments::is_order_id;
use crate::refusal::Refusal;

/// Toss's minimum for cards, in won.
pub(crate) const MINIMUM_AMOUNT: i64 = 100;

/// Unknown fields pass: old clients send more than today's API knows.
pub(crate) fn parse<T: DeserializeOwned>(body: Option<&Value>) -> Result<T, Refusal> {
    let body = body.ok_or_else(|| Refusal::of("INVALID_REQUEST"))?;
    T::deserialize(body).map_err(|_| Refusal::of("INVALID_REQUEST"))
}

pub(crate) fn required<T>(field: Option<T>) -> Result<T, Refusal> {
    field.ok_or_else(|| Refusal::of("INVALID_REQUIRED_PARAM"))
}

pub(crate) fn order_id(field: Option<String>) -> Result<String, Refusal> {
    let text = required(field)?;
    if is_order_id(&text) { Ok(text) } else { Err(Refusal::of("INVALID_ORDER_ID")) }
}

pub(crate) fn order_name(field: Option<String>) -> Result<String, Refusal> {
    let text = required(field)?;
    if (1..=100).contains(&text.chars().count()) { Ok(text) } else { Err(Refusal::of("INVALID_ORDER_NAME")) }
}

/// Toss enforces the length only, and fails in its database above 300 (measured).
pub(crate) fn customer_key(field: Option<String>) -> Result<String, Refusal> {
    let text = required(field)?;
    match text.chars().count() {
        0..2 => Err(Refusal::of("INVALID_CUSTOMER_KEY")),
        2..=300 => Ok(text),
        _ => Err(Refusal::of("FAILED_DB_PROCESSING")),
    }
}

pub(crate) fn email(field: Option<&String>) -> Result<(), Refusal> {
    match field {
        Some(text) if text.chars().count() > 100 || !text.contains('@') => Err(Refusal::of("INVALID_EMAIL")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_6_to_64_letters_digits_dashes_underscores() {
        assert!(is_order_id("a-B_12"));
        assert!(is_order_id(&"x".repeat(64)));
        for wrong in ["short", &"x".repeat(65), "with.dot", "with space", "주문번호여섯"] {
            assert!(!is_order_id(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_customer_key_above_300_characters_breaks_the_database() {
        assert!(customer_key(Some("x".repeat(300))).is_ok());
        assert_eq!(customer_key(Some("x".repeat(301))).unwrap_err().status, 500);
    }
}
