//! The Billing object: a card registered for charging.

use chrono::{DateTime, FixedOffset};
use serde::Deserialize;

use crate::{BillingKey, Card, wire};

/// A freshly issued billing key. Toss has no call to read it again: seal and store it before anything else.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Billing {
    pub billing_key: BillingKey,
    /// The only customer key this billing key can be charged with; store the two together.
    pub customer_key: String,
    /// The merchant whose keys the card was registered with.
    #[serde(default, rename = "mId", deserialize_with = "wire::or_none")]
    pub merchant_id: Option<String>,
    /// `카드` or `계좌이체`.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub method: Option<String>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub card: Option<Card>,
    #[serde(default, deserialize_with = "wire::time_or_none")]
    pub authenticated_at: Option<DateTime<FixedOffset>>,
    /// Toss's name for the answer this was read from.
    #[serde(skip)]
    pub trace_id: Option<String>,
}
