//! The billing key: charges a card on its own, so it is never shown by accident.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

/// A billing key as issued by Toss. `Debug` and `Display` show nothing of it; memory is wiped on drop.
#[derive(Clone)]
pub struct BillingKey(SecretString);

impl BillingKey {
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// The key itself, for sealing it before storage. Never log it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for BillingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BillingKey(****)")
    }
}

impl fmt::Display for BillingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl<'de> Deserialize<'de> for BillingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key.is_empty() {
            return Err(de::Error::custom("the billing key is empty"));
        }
        Ok(Self(key.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_billing_key_shows_nothing_of_itself() {
        let key = BillingKey::new("Z_t5vOvQxrj4499=".into());
        let shown = format!("{key} {key:?} {:#?}", Some(key.clone()));
        assert!(!shown.contains("Z_t5") && !shown.contains("499="), "{shown}");
        assert_eq!(key.expose(), "Z_t5vOvQxrj4499=");
    }

    #[test]
    fn an_empty_billing_key_does_not_decode() {
        assert!(serde_json::from_str::<BillingKey>("\"\"").is_err());
    }
}
