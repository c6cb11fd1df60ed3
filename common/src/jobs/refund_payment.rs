//! `refund-payment`: captured money goes back.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundPayment {
    pub refund_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for RefundPayment {
    const KIND: &'static str = "refund-payment";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "refund": self.refund_id })
    }

    fn unique_key(&self) -> Option<String> {
        None
    }
}
