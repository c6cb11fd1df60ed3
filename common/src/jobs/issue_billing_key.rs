//! `issue-billing-key`: a registered card becomes a billing key, is proven where something is open, and replaces the old.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueBillingKey {
    pub registration_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for IssueBillingKey {
    const KIND: &'static str = "issue-billing-key";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "registration": self.registration_id })
    }

    /// None: the sweep may have to start it again. The registration itself is unique by its one-time key.
    fn unique_key(&self) -> Option<String> {
        None
    }
}
