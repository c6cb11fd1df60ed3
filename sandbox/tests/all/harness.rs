//! A sandbox on a free port and a small HTTP client for it.

use reqwest::{Method, RequestBuilder};
use sandbox::{CardRegistration, Ledger, LedgerQuery, OpenPayment, Purchase, Sandbox};
use serde_json::{Value, json};

pub(crate) const API_SECRET: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
pub(crate) const WIDGET_SECRET: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";

pub(crate) struct Toss {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and Toss code of an error.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

pub(crate) fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

impl Toss {
    pub(crate) async fn start() -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { sandbox: Sandbox::start("127.0.0.1:0").await.unwrap(), http }
    }

    /// Without a key.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.sandbox.url()))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).basic_auth(API_SECRET, Some(""))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) fn keyed(&self, key: &str, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).header("Idempotency-Key", key).json(body)
    }

    pub(crate) fn window(&self, order_id: &str, amount: i64) -> OpenPayment {
        self.sandbox.pay(Purchase::new(order_id, amount).customer("customer-1")).unwrap()
    }

    pub(crate) async fn confirm(&self, payment: &OpenPayment) -> Reply {
        self.post("/v1/payments/confirm", &serde_json::to_value(payment).unwrap()).await
    }

    /// A payment that is `DONE`; returns its key.
    pub(crate) async fn paid(&self, order_id: &str, amount: i64) -> String {
        let payment = self.window(order_id, amount);
        assert_eq!(self.confirm(&payment).await.status, 200);
        payment.payment_key
    }

    pub(crate) async fn issue(&self, customer_key: &str, card: Option<&str>) -> Reply {
        let registration =
            CardRegistration { customer_key: customer_key.to_owned(), card_number: card.map(str::to_owned) };
        let auth_key = self.sandbox.auth_key(registration).unwrap();
        let body = json!({ "authKey": auth_key, "customerKey": customer_key });
        self.post("/v1/billing/authorizations/issue", &body).await
    }

    pub(crate) async fn billing_key(&self, customer_key: &str) -> String {
        self.issue(customer_key, None).await.json()["billingKey"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn charge(&self, billing_key: &str, customer_key: &str, order_id: &str) -> Reply {
        self.post(&format!("/v1/billing/{billing_key}"), &order(customer_key, order_id)).await
    }

    pub(crate) fn ledger(&self, order_id: &str) -> Ledger {
        self.sandbox.ledger(&LedgerQuery::order(order_id))
    }
}

/// A charge of 9,900 won.
pub(crate) fn order(customer_key: &str, order_id: &str) -> Value {
    json!({ "amount": 9_900, "customerKey": customer_key, "orderId": order_id, "orderName": "퍼스널 월간" })
}
