//! `send-email`: one e-mail of the outbox goes out.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendEmail {
    pub email_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for SendEmail {
    const KIND: &'static str = "send-email";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "email": self.email_id })
    }

    fn unique_key(&self) -> Option<String> {
        None
    }
}
