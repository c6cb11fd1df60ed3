//! `charge-subscription`: one invoice is charged, looked up, retried or given up, whatever its state asks for.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeSubscription {
    pub invoice_id: Uuid,
    pub subscription_id: Uuid,
    /// Set by the scan: its job for an invoice is made once, however often the day is scanned.
    #[serde(default)]
    pub by_scan: bool,
}

impl Job for ChargeSubscription {
    const KIND: &'static str = "charge-subscription";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "invoice": self.invoice_id })
    }

    fn unique_key(&self) -> Option<String> {
        self.by_scan.then(|| format!("invoice:{}", self.invoice_id))
    }
}
