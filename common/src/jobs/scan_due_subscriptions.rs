//! `scan-due-subscriptions`: the daily run, which makes an invoice and a charge job for everything that is due.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Job;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanDueSubscriptions {
    /// Everything due on or before this civil date in Seoul.
    pub date: NaiveDate,
}

impl Job for ScanDueSubscriptions {
    const KIND: &'static str = "scan-due-subscriptions";

    fn subject(&self) -> Value {
        json!({ "date": self.date })
    }

    /// Twice a day is once, whoever asks.
    fn unique_key(&self) -> Option<String> {
        Some(format!("cron:{}", self.date))
    }
}
