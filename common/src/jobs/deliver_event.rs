//! `deliver-event`: one event of the outbox goes to the merchant's application.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::{event_ref, subscription_ref};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliverEvent {
    pub event_id: Uuid,
    pub subscription_id: Uuid,
}

/// The first one of an event is written by `write_event` in the database, with these very columns.
impl Job for DeliverEvent {
    const KIND: &'static str = "deliver-event";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "event": event_ref(self.event_id) })
    }

    fn unique_key(&self) -> Option<String> {
        None
    }
}
