//! `delete-billing-key`: a billing key that is no longer used is deleted at the gateway.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteBillingKey {
    pub deletion_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for DeleteBillingKey {
    const KIND: &'static str = "delete-billing-key";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "billingKeyDeletion": self.deletion_id })
    }

    fn unique_key(&self) -> Option<String> {
        None
    }
}
