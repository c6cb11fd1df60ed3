//! `confirm-payment`: a payment that the customer authenticated is confirmed at the gateway.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmPayment {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub subscription_id: Uuid,
    pub order_id: String,
}

impl Job for ConfirmPayment {
    const KIND: &'static str = "confirm-payment";

    fn subject(&self) -> Value {
        json!({
            "subscription": subscription_ref(self.subscription_id),
            "invoice": self.invoice_id,
            "payment": self.payment_id,
            "order": self.order_id,
        })
    }

    /// None: the sweep may have to start it again. The payment itself is unique by its order id.
    fn unique_key(&self) -> Option<String> {
        None
    }
}
