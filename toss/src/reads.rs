//! The calls that only read. Safe to repeat, and the way out of an unknown outcome.

use reqwest::Method;

use crate::outcome::{self, Wanted};
use crate::transport::About;
use crate::{Account, LookupOutcome, Toss, TransactionPage, TransactionPages, TransactionsQuery, Why};

impl Toss {
    /// `GET /v1/payments/orders/{orderId}`, with the account the order was charged with.
    pub async fn payment_by_order_id(&self, account: Account, order_id: &str) -> LookupOutcome {
        let request = self.request(Method::GET, account, &["v1", "payments", "orders", order_id]);
        let about = About { operation: "payment_by_order_id", order_id: Some(order_id), secret: None };
        outcome::lookup(self.send(about, request).await, Wanted::OrderId(order_id))
    }

    /// `GET /v1/payments/{paymentKey}`, with the account the payment was made with.
    pub async fn payment_by_key(&self, account: Account, payment_key: &str) -> LookupOutcome {
        let request = self.request(Method::GET, account, &["v1", "payments", payment_key]);
        let about = About { operation: "payment_by_key", order_id: None, secret: None };
        outcome::lookup(self.send(about, request).await, Wanted::PaymentKey(payment_key))
    }

    /// `GET /v1/transactions`: one page. Takes up to 60 s.
    pub async fn transactions(
        &self,
        account: Account,
        query: &TransactionsQuery,
    ) -> Result<TransactionPage, Why> {
        let request = self
            .request(Method::GET, account, &["v1", "transactions"])
            .map(|request| request.query(&query.pairs()));
        let about = About { operation: "transactions", order_id: None, secret: None };
        outcome::transactions(self.send(about, request).await)
    }

    /// All pages of a query, one request at a time.
    pub fn transaction_pages(&self, account: Account, query: TransactionsQuery) -> TransactionPages<'_> {
        TransactionPages::new(self, account, query)
    }
}
