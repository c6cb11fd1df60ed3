//! The idempotency key: what makes sending the same thing twice happen once.

use std::fmt;

/// Names one attempt to Toss for 15 days from its first use.
///
/// Toss identifies a request by this key, the API key, the URL and the method, *not* by the body, and binds 4xx
/// answers to it as well. So: never a constant, one per attempt, a fresh one (with a fresh order id) after any
/// refusal and after a [`crate::Reason`] whose `key_is_burnt`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Toss takes 1 to 300 characters (`INVALID_IDEMPOTENCY_KEY`), and a header takes visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 300 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    const MAX_CHARS: usize = 300;

    pub fn new(key: impl Into<String>) -> Result<Self, InvalidIdempotencyKey> {
        let key = key.into();
        let fits = (1..=Self::MAX_CHARS).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(key)) } else { Err(InvalidIdempotencyKey) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_to_three_hundred_visible_characters() {
        assert!(IdempotencyKey::new("k").is_ok());
        assert!(IdempotencyKey::new("k".repeat(300)).is_ok());
        for bad in [String::new(), "k".repeat(301), "a b".into(), "키".into(), "a\r\nb".into()] {
            assert_eq!(IdempotencyKey::new(bad), Err(InvalidIdempotencyKey));
        }
    }
}
