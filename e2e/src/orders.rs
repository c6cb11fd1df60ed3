//! Orders of new customers, paid in the gateway's window and ready to be confirmed at the API.

use common::id::new_key;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use testing::customer_token;

use crate::{bank::Bank, subscribers::PRICE};

/// An order with its customer's token.
pub struct Order {
    token: String,
    body: Value,
}

impl Order {
    /// Completes the payment window of a new customer for a month of the personal plan.
    pub async fn place(bank: &Bank) -> anyhow::Result<Self> {
        let customer = new_key();
        let order_id = format!("ORDER_{}", customer.simple());
        let payment_key = bank.pay(&order_id, i64::from(PRICE), &customer.to_string()).await?;
        let body = json!({
            "paymentKey": payment_key, "orderId": order_id, "amount": PRICE,
            "customerEmail": "user@example.com", "customerName": "홍길동",
            "plan": "personal", "billingCycle": "monthly",
        });
        Ok(Self { token: customer_token(customer), body })
    }

    /// The request that confirms the order.
    pub fn confirm(&self, http: &Client, api_url: &str) -> RequestBuilder {
        http.post(format!("{api_url}/api/payments/confirm")).json(&self.body).bearer_auth(&self.token)
    }
}
