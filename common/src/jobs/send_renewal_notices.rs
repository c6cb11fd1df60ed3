//! `send-renewal-notices`: the daily run, which tells customers three days ahead that their card will be charged.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Job;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendRenewalNotices {
    /// The civil date in Seoul from which the three days are counted.
    pub date: NaiveDate,
}

impl Job for SendRenewalNotices {
    const KIND: &'static str = "send-renewal-notices";

    fn subject(&self) -> Value {
        json!({ "date": self.date })
    }

    fn unique_key(&self) -> Option<String> {
        Some(format!("cron:{}", self.date))
    }
}
