//! `handle-webhook`: what a webhook hints at is read back from the gateway, and booked if it is so.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandleWebhook {
    pub webhook_id: Uuid,
}

impl Job for HandleWebhook {
    const KIND: &'static str = "handle-webhook";

    fn subject(&self) -> Value {
        json!({ "webhook": self.webhook_id })
    }

    /// None: the sweep may have to start it again. The webhook itself is unique by its transmission id.
    fn unique_key(&self) -> Option<String> {
        None
    }
}
