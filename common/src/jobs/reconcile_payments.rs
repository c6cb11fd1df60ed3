//! `reconcile-payments`: a day of the gateway's books is compared with ours, both ways.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Job;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcilePayments {
    /// The civil day in Seoul on which the money moved.
    pub date: NaiveDate,
    /// The daily run that asks for it; none when an operator does.
    #[serde(default)]
    pub daily_run: Option<NaiveDate>,
}

impl Job for ReconcilePayments {
    const KIND: &'static str = "reconcile-payments";

    fn subject(&self) -> Value {
        json!({ "date": self.date })
    }

    /// Each daily run compares a day once; an operator may compare it as often as it takes.
    fn unique_key(&self) -> Option<String> {
        self.daily_run.map(|run| format!("cron:{}:{run}", self.date))
    }
}
