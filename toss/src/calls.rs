//! The calls that change something at Toss. Each sends exactly one request.

use reqwest::{Method, RequestBuilder};

use crate::reply::NotSent;
use crate::transport::About;
use crate::{
    Account, BillingKey, CancelOutcome, CancelRequest, ChargeOutcome, ChargeRequest, ConfirmRequest,
    DeleteOutcome, IdempotencyKey, IssueOutcome, IssueRequest, Toss, outcome,
};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

impl Toss {
    /// `POST /v1/payments/confirm`, with the widget's secret key: captures what the customer authenticated.
    pub async fn confirm(&self, asked: &ConfirmRequest, key: &IdempotencyKey) -> ChargeOutcome {
        let request = self
            .post(Account::Widget, &["v1", "payments", "confirm"], key)
            .map(|request| request.json(asked));
        let about = About { operation: "confirm", order_id: Some(&asked.order_id), secret: None };
        outcome::confirm(self.send(about, request).await, asked)
    }

    /// `POST /v1/billing/authorizations/issue`: registers a card. Moves no money. Repeating it with the same key is
    /// the only way to recover a lost answer.
    pub async fn issue_billing_key(&self, asked: &IssueRequest, key: &IdempotencyKey) -> IssueOutcome {
        let path = ["v1", "billing", "authorizations", "issue"];
        let request = self.post(Account::Billing, &path, key).map(|request| request.json(asked));
        let about = About { operation: "issue_billing_key", order_id: None, secret: None };
        outcome::issue(self.send(about, request).await, &asked.customer_key)
    }

    /// `POST /v1/billing/{billingKey}`: charges the card, at once. Takes up to 60 s.
    pub async fn charge(
        &self,
        billing_key: &BillingKey,
        asked: &ChargeRequest,
        key: &IdempotencyKey,
    ) -> ChargeOutcome {
        let path = ["v1", "billing", billing_key.expose()];
        let request = self.post(Account::Billing, &path, key).map(|request| request.json(asked));
        let about = About {
            operation: "charge",
            order_id: Some(&asked.order_id),
            secret: Some(billing_key.expose()),
        };
        outcome::charge(self.send(about, request).await, asked)
    }

    /// `DELETE /v1/billing/{billingKey}`: the key charges nothing from then on. Safe to repeat.
    pub async fn delete_billing_key(&self, billing_key: &BillingKey) -> DeleteOutcome {
        let request =
            self.request(Method::DELETE, Account::Billing, &["v1", "billing", billing_key.expose()]);
        let about =
            About { operation: "delete_billing_key", order_id: None, secret: Some(billing_key.expose()) };
        outcome::delete(self.send(about, request).await)
    }

    /// `POST /v1/payments/{paymentKey}/cancel`: refunds, with the account the payment was made with.
    pub async fn cancel(
        &self,
        account: Account,
        payment_key: &str,
        asked: &CancelRequest,
        key: &IdempotencyKey,
    ) -> CancelOutcome {
        let request = self
            .post(account, &["v1", "payments", payment_key, "cancel"], key)
            .map(|request| request.json(asked));
        let about = About { operation: "cancel", order_id: None, secret: None };
        outcome::cancel(self.send(about, request).await, payment_key, asked)
    }

    fn post(&self, account: Account, path: &[&str], key: &IdempotencyKey) -> Result<RequestBuilder, NotSent> {
        Ok(self.request(Method::POST, account, path)?.header(IDEMPOTENCY_KEY, key.as_str()))
    }
}
