//! Billing keys: which card, for which customer, still valid or deleted.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::ids;
use crate::refusal::Refusal;

#[derive(Debug, Clone)]
pub(crate) struct BillingKey {
    pub(crate) key: String,
    /// Not known for a key made by the confirm of a payment without a customer; the first charge settles it.
    pub(crate) customer_key: Option<String>,
    pub(crate) card_number: String,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) removed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct BillingKeys {
    keys: HashMap<String, BillingKey>,
}

impl BillingKeys {
    pub(crate) fn issue(
        &mut self,
        customer_key: Option<String>,
        card_number: String,
        now: DateTime<Utc>,
    ) -> BillingKey {
        let key = ids::billing_key();
        let issued =
            BillingKey { key: key.clone(), customer_key, card_number, issued_at: now, removed: false };
        self.keys.insert(key, issued.clone());
        issued
    }

    /// All that were ever issued to a customer, in that order.
    pub(crate) fn of_customer(&self, customer_key: &str) -> Vec<BillingKey> {
        let owned = self.keys.values().filter(|key| key.customer_key.as_deref() == Some(customer_key));
        let mut owned: Vec<BillingKey> = owned.cloned().collect();
        owned.sort_by(|a, b| (a.issued_at, &a.card_number).cmp(&(b.issued_at, &b.card_number)));
        owned
    }

    pub(crate) fn get(&self, key: &str) -> Option<&BillingKey> {
        self.keys.get(key)
    }

    /// The card behind a key that may be charged for this customer.
    pub(crate) fn open(&mut self, key: &str, customer_key: &str) -> Result<String, Refusal> {
        let known = self.keys.get_mut(key).ok_or_else(|| Refusal::of("INVALID_BILL_KEY_REQUEST"))?;
        if known.removed {
            return Err(Refusal::of("ALREADY_REMOVED_BILLING_KEY"));
        }
        let owner = known.customer_key.get_or_insert_with(|| customer_key.to_owned());
        if owner != customer_key {
            return Err(Refusal::of("NOT_MATCHES_CUSTOMER_KEY"));
        }
        Ok(known.card_number.clone())
    }

    /// A second removal answers like a charge of a removed key (Toss does not say).
    pub(crate) fn remove(&mut self, key: &str) -> Result<(), Refusal> {
        let known = self.keys.get_mut(key).ok_or_else(|| Refusal::of("NOT_FOUND_BILLING"))?;
        if known.removed {
            return Err(Refusal::of("ALREADY_REMOVED_BILLING_KEY"));
        }
        known.removed = true;
        Ok(())
    }
}
