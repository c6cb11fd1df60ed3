//! The money that moved and the requests that were made, for tests to count.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::korean_day;

/// One kind of call to the Toss API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Confirm,
    Issue,
    Charge,
    Cancel,
    Lookup,
    Delete,
    Transactions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    Capture,
    Refund,
}

/// Money that moved once.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub kind: EntryKind,
    /// Whole won, positive for both kinds.
    pub amount: i64,
    pub order_id: String,
    pub payment_key: String,
    pub transaction_key: String,
    pub customer_key: Option<String>,
    /// As Toss names it: `카드` or `가상계좌`.
    pub method: &'static str,
    /// True when a billing key was charged.
    pub billing: bool,
    /// The payment's status after it.
    pub status: String,
    pub at: DateTime<Utc>,
}

/// Which entries and requests to count; empty counts all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LedgerQuery {
    pub order_id: Option<String>,
    /// How the order id begins.
    pub prefix: Option<String>,
    pub customer_key: Option<String>,
    /// A Korean civil day.
    pub day: Option<NaiveDate>,
}

impl LedgerQuery {
    /// All that concerns one order.
    pub fn order(order_id: &str) -> Self {
        Self { order_id: Some(order_id.to_owned()), ..Self::default() }
    }

    pub fn customer(customer_key: &str) -> Self {
        Self { customer_key: Some(customer_key.to_owned()), ..Self::default() }
    }

    fn takes(&self, order_id: Option<&str>, customer_key: Option<&str>, at: DateTime<Utc>) -> bool {
        self.order_id.as_deref().is_none_or(|wanted| order_id == Some(wanted))
            && self.prefix.as_deref().is_none_or(|prefix| order_id.is_some_and(|id| id.starts_with(prefix)))
            && self.customer_key.as_deref().is_none_or(|wanted| customer_key == Some(wanted))
            && self.day.is_none_or(|day| korean_day(at) == day)
    }
}

/// How often an operation was asked for, and how often that was carried out (not replayed, not refused at admission).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RequestCount {
    pub asked: u64,
    pub processed: u64,
}

/// The answer to a [`LedgerQuery`]. Amounts are whole won.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    pub captured: i64,
    pub refunded: i64,
    pub net: i64,
    /// Number of captures.
    pub charges: u64,
    /// Number of refunds.
    pub cancels: u64,
    pub requests: BTreeMap<Operation, RequestCount>,
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// Requests made for one operation, replays included.
    pub fn asked(&self, operation: Operation) -> u64 {
        self.requests.get(&operation).copied().unwrap_or_default().asked
    }
}

/// What a request is about, as far as it can be told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    pub(crate) order_id: Option<String>,
    pub(crate) customer_key: Option<String>,
}

#[derive(Debug)]
struct Request {
    operation: Operation,
    subject: Subject,
    at: DateTime<Utc>,
    processed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    pub(crate) entries: Vec<Entry>,
    requests: Vec<Request>,
}

impl RequestLog {
    /// Returns the request's number, for [`RequestLog::processed`].
    pub(crate) fn asked(&mut self, operation: Operation, subject: Subject, at: DateTime<Utc>) -> usize {
        self.requests.push(Request { operation, subject, at, processed: false });
        self.requests.len() - 1
    }

    pub(crate) fn processed(&mut self, number: usize) {
        if let Some(request) = self.requests.get_mut(number) {
            request.processed = true;
        }
    }

    pub(crate) fn count(&self, query: &LedgerQuery) -> Ledger {
        let mut ledger = Ledger::default();
        for entry in &self.entries {
            if !query.takes(Some(&entry.order_id), entry.customer_key.as_deref(), entry.at) {
                continue;
            }
            match entry.kind {
                EntryKind::Capture => {
                    ledger.captured += entry.amount;
                    ledger.charges += 1;
                }
                EntryKind::Refund => {
                    ledger.refunded += entry.amount;
                    ledger.cancels += 1;
                }
            }
            ledger.entries.push(entry.clone());
        }
        ledger.net = ledger.captured - ledger.refunded;
        for request in &self.requests {
            let subject = &request.subject;
            if query.takes(subject.order_id.as_deref(), subject.customer_key.as_deref(), request.at) {
                let asked = ledger.requests.entry(request.operation).or_default();
                asked.asked += 1;
                asked.processed += u64::from(request.processed);
            }
        }
        ledger
    }
}
