//! Transactions: Toss's ledger of approvals and cancels, read page by page.

use chrono::{DateTime, FixedOffset};
use serde::Deserialize;

use crate::{Account, GatewayPaymentStatus, Toss, TransactionsQuery, Why, WhyKind, wire};

/// One approval or one cancel; each is a row of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    pub transaction_key: String,
    pub payment_key: String,
    pub order_id: String,
    pub status: GatewayPaymentStatus,
    /// Whole won. Toss does not document the sign on cancels: take the absolute value and judge by `status`.
    #[serde(deserialize_with = "wire::won")]
    pub amount: i64,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub currency: Option<String>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub method: Option<String>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub customer_key: Option<String>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub receipt_url: Option<String>,
    #[serde(default, deserialize_with = "wire::time_or_none")]
    pub transaction_at: Option<DateTime<FixedOffset>>,
}

/// One page, in Toss's order.
#[derive(Debug, Clone)]
pub struct TransactionPage {
    pub transactions: Vec<Transaction>,
    pub trace_id: Option<String>,
}

/// Walks all pages of a query. The end is an empty page: a short one proves nothing.
#[derive(Debug)]
pub struct TransactionPages<'a> {
    toss: &'a Toss,
    account: Account,
    query: TransactionsQuery,
    finished: bool,
}

impl<'a> TransactionPages<'a> {
    pub(crate) fn new(toss: &'a Toss, account: Account, query: TransactionsQuery) -> Self {
        Self { toss, account, query, finished: false }
    }

    /// The next page, `None` after the last. After an error the same page can be asked for again. A cursor that does
    /// not move is an error ([`WhyKind::Mismatch`]), so that a confused gateway cannot keep the reader forever.
    pub async fn next_page(&mut self) -> Result<Option<TransactionPage>, Why> {
        if self.finished {
            return Ok(None);
        }
        let page = self.toss.transactions(self.account, &self.query).await?;
        let Some(last) = page.transactions.last() else {
            self.finished = true;
            return Ok(None);
        };
        if self.query.starting_after.as_ref() == Some(&last.transaction_key) {
            let message = "the page ends where it began".to_owned();
            return Err(Why {
                kind: WhyKind::Mismatch,
                code: None,
                message,
                http_status: Some(200),
                trace_id: page.trace_id,
                retry_after: None,
            });
        }
        self.query.starting_after = Some(last.transaction_key.clone());
        Ok(Some(page))
    }
}
