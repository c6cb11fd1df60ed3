//! `end-incomplete-subscription`: what has not been paid for by its deadline ends without having begun.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Job;
use crate::id::subscription_ref;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndIncompleteSubscription {
    pub subscription_id: Uuid,
}

impl Job for EndIncompleteSubscription {
    const KIND: &'static str = "end-incomplete-subscription";

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "incomplete": self.subscription_id })
    }

    /// None: the sweep may have to start it again. A subscription ends once.
    fn unique_key(&self) -> Option<String> {
        None
    }
}
