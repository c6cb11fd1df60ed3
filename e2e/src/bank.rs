//! A client of a sandbox process: scripts its faults and reads its ledger over HTTP.

use std::collections::HashMap;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use common::id::new_key;
use reqwest::RequestBuilder;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use toss::{IdempotencyKey, IssueOutcome, IssueRequest, Toss, TossConfig};

/// Toss's public test keys, printed in its documentation; they charge nobody.
pub const BILLING_SECRET: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
pub const WIDGET_SECRET: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";

pub struct Bank {
    pub url: String,
    http: reqwest::Client,
    toss: Toss,
}

/// The sandbox's ledger.
#[derive(Debug, Default, Deserialize)]
pub struct Ledger {
    entries: Vec<Entry>,
    requests: HashMap<String, RequestCount>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    kind: String,
    amount: i64,
    order_id: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct RequestCount {
    asked: u64,
}

impl Bank {
    pub fn at(url: String, http: reqwest::Client) -> anyhow::Result<Self> {
        let config = TossConfig::new(url.parse()?, BILLING_SECRET.into(), WIDGET_SECRET.into());
        Ok(Self { url, http, toss: Toss::new(config)? })
    }

    /// Registers a card that pays. Returns its billing key.
    pub async fn register_card(&self, customer_key: &str) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct AuthKey {
            auth_key: String,
        }
        let request = self.http.post(self.script("auth-keys")).json(&json!({ "customerKey": customer_key }));
        let AuthKey { auth_key } = send(request).await?;
        let request = IssueRequest { auth_key, customer_key: customer_key.to_owned() };
        let key = IdempotencyKey::new(new_key().to_string())?;
        match self.toss.issue_billing_key(&request, &key).await {
            IssueOutcome::Issued(billing) => Ok(billing.billing_key.expose().to_owned()),
            other => bail!("the sandbox issued no billing key: {other:?}"),
        }
    }

    /// Completes a payment window. Returns the payment key.
    pub async fn pay(&self, order_id: &str, amount: i64, customer_key: &str) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Paid {
            payment_key: String,
        }
        let order = json!({ "orderId": order_id, "amount": amount, "customerKey": customer_key });
        let Paid { payment_key } = send(self.http.post(self.script("payments")).json(&order)).await?;
        Ok(payment_key)
    }

    /// Makes the bank decline all charges of this customer.
    pub async fn decline(&self, customer_key: &str) -> anyhow::Result<()> {
        let url = self.script(&format!("customers/{customer_key}"));
        send::<Value>(self.http.put(url).json(&json!({ "outcome": "REJECT_CARD_PAYMENT" }))).await?;
        Ok(())
    }

    /// From now on each charge is answered after so long.
    pub async fn delay_charges(&self, ms: u32) -> anyhow::Result<()> {
        self.add_fault(&json!({ "effect": "delay", "ms": ms, "operation": "charge", "times": null })).await
    }

    pub async fn add_fault(&self, fault: &Value) -> anyhow::Result<()> {
        send::<Value>(self.http.post(self.script("faults")).json(fault)).await?;
        Ok(())
    }

    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        send::<Value>(self.http.delete(self.script("faults"))).await?;
        Ok(())
    }

    pub async fn set_clock(&self, now: DateTime<Utc>) -> anyhow::Result<()> {
        send::<Value>(self.http.put(self.script("clock")).json(&json!({ "now": now }))).await?;
        Ok(())
    }

    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        send(self.http.get(self.script("ledger"))).await
    }

    fn script(&self, path: &str) -> String {
        format!("{}/sandbox/{path}", self.url)
    }
}

async fn send<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let answer = request.send().await?.error_for_status()?;
    answer.json().await.context("cannot read the answer of the sandbox")
}

impl Ledger {
    /// Captured minus refunded, in won, by order.
    pub fn net_by_order(&self) -> HashMap<&str, i64> {
        let mut net = HashMap::new();
        for entry in &self.entries {
            let sign = if entry.kind == "refund" { -1 } else { 1 };
            let sum: &mut i64 = net.entry(entry.order_id.as_str()).or_default();
            *sum = sum.saturating_add(entry.amount.saturating_mul(sign));
        }
        net
    }

    /// The number of requests of this operation (`charge`, `lookup` …).
    pub fn request_count(&self, operation: &str) -> u64 {
        self.requests.get(operation).copied().unwrap_or_default().asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_counts_against_its_order_only() {
        let ledger: Ledger = serde_json::from_value(json!({
            "entries": [
                { "kind": "capture", "amount": 9_900, "orderId": "A" },
                { "kind": "capture", "amount": 9_900, "orderId": "B" },
                { "kind": "refund", "amount": 900, "orderId": "B" },
            ],
            "requests": { "charge": { "asked": 3, "processed": 2 } },
        }))
        .unwrap();
        assert_eq!(ledger.net_by_order(), HashMap::from([("A", 9_900), ("B", 9_000)]));
        assert_eq!((ledger.request_count("charge"), ledger.request_count("lookup")), (3, 0));
    }
}
