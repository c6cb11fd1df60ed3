//! A customer's browser before the API: signed in, with a paid order to confirm.

use std::net::SocketAddr;

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use sandbox::Purchase;
use serde_json::{Value, json};
use testing::{AUTH_JWT_SECRET, customer_token};
use uuid::Uuid;

use crate::program::{Program, ready};
use crate::system::System;

pub(crate) struct Customer {
    api: SocketAddr,
    id: Uuid,
    http: reqwest::Client,
}

/// What the API said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// The API as it is deployed: no variable of Toss, of sealing or of mail.
pub(crate) fn api(system: &System, address: SocketAddr) -> Program {
    Program::named("billing-api")
        .var("DATABASE_URL", system.database_url())
        .var("API_ADDR", address)
        .var("CRON_SECRET", "the-secret-of-the-daily-call")
        .var("AUTH_JWT_SECRET", AUTH_JWT_SECRET)
        .var("STOP_DELAY_SECS", 0)
        .var("CLOCK", "test")
}

impl Customer {
    /// Arrives when the API is ready.
    pub(crate) async fn of(api: SocketAddr) -> Self {
        ready(api).await;
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"customer");
        Self { api, id, http: reqwest::Client::builder().build().unwrap() }
    }

    /// Pays 9,900 won in the payment window; answers what the browser brings back.
    pub(crate) fn pays(&self, system: &System, order_id: &str) -> Value {
        let purchase = Purchase::new(order_id, 9_900).customer(&self.id.to_string());
        let open = system.sandbox.pay(purchase).unwrap();
        json!({
            "paymentKey": open.payment_key, "orderId": order_id, "amount": 9_900,
            "customerEmail": "user@example.com", "customerName": "홍길동",
            "plan": "personal", "billingCycle": "monthly",
        })
    }

    pub(crate) async fn confirms(&self, order: &Value) -> Answer {
        self.send(self.http.post(self.url("/api/payments/confirm")).json(order)).await
    }

    pub(crate) async fn gets(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.bearer_auth(customer_token(self.id)).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }
}
