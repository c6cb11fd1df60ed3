//! What is sent to Toss, in its own names.

use std::fmt;

use chrono::NaiveDateTime;
use serde::Serialize;

/// Captures a payment the customer has authenticated. Must happen within ten minutes of the authentication.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmRequest {
    pub payment_key: String,
    /// 6 to 64 of `A-Z a-z 0-9 - _`.
    pub order_id: String,
    /// Whole won; the price the server knows, never the one the browser sent.
    pub amount: i64,
}

/// Turns the one-time `authKey` of the registration window into a billing key.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueRequest {
    pub auth_key: String,
    pub customer_key: String,
}

/// The `authKey` buys a billing key, so it is not shown.
impl fmt::Debug for IssueRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueRequest").field("customer_key", &self.customer_key).finish_non_exhaustive()
    }
}

/// Charges a billing key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeRequest {
    /// Exactly the customer key the billing key was issued for, else `NOT_MATCHES_CUSTOMER_KEY`.
    pub customer_key: String,
    /// Whole won, at least 100.
    pub amount: i64,
    /// 6 to 64 of `A-Z a-z 0-9 - _`, one per attempt: the only handle on a charge whose answer is lost.
    pub order_id: String,
    /// 1 to 100 characters, shown to the customer.
    pub order_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
}

/// Gives money back.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelRequest {
    /// At most 200 characters.
    #[serde(rename = "cancelReason")]
    pub reason: String,
    /// Whole won; `None` is everything that is left.
    #[serde(rename = "cancelAmount", skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What the caller believes is left to cancel, in whole won. If it is not, nothing is cancelled
    /// (`NOT_MATCHES_REFUNDABLE_AMOUNT`): the guard against refunding twice under two keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refundable_amount: Option<i64>,
}

/// Which transactions to list. Toss documents neither their order nor whether `end` belongs to the range.
#[derive(Debug, Clone)]
pub struct TransactionsQuery {
    /// Korean civil time, whole seconds.
    pub start: NaiveDateTime,
    /// Korean civil time, whole seconds.
    pub end: NaiveDateTime,
    /// The `transaction_key` of the last row already read.
    pub starting_after: Option<String>,
    /// Rows per page, 1 to 5,000; Toss's default is 100.
    pub limit: Option<u16>,
}

impl TransactionsQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";
        let mut pairs = vec![
            ("startDate", self.start.format(FORMAT).to_string()),
            ("endDate", self.end.format(FORMAT).to_string()),
        ];
        pairs.extend(self.starting_after.clone().map(|key| ("startingAfter", key)));
        pairs.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        pairs
    }
}
