//! Customers who sign up while everything dies: each confirms one order, again and again until somebody answers.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use common::id::new_key;
use jsonwebtoken::{EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    stage::{JWT_SECRET, Stage},
    storm::{Storm, Tally},
};
use crate::subscribers::PRICE;

const ONE_EVERY: Duration = Duration::from_millis(700);
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Spring 2100: the test clock runs ahead by months.
const EXPIRES: i64 = 4_102_444_800;

/// Signs up one customer after another until the storm is over, then waits until each has an answer.
pub(super) async fn keep_coming(stage: Arc<Stage>, storm: Arc<Storm>) -> anyhow::Result<()> {
    let mut waiting = JoinSet::new();
    while !storm.is_over() {
        let (stage, storm) = (stage.clone(), storm.clone());
        waiting.spawn(async move { sign_up(&stage, &storm.tally).await });
        tokio::time::sleep(ONE_EVERY).await;
    }
    while let Some(one) = waiting.join_next().await {
        one??;
    }
    Ok(())
}

/// Ends with the API's word that the order is on disk, or with its definite no.
async fn sign_up(stage: &Stage, tally: &Tally) -> anyhow::Result<()> {
    let id = new_key();
    let order_id = format!("ORDER_{}", id.simple());
    let payment_key = stage.bank.pay(&order_id, i64::from(PRICE), &id.to_string()).await?;
    let order = json!({
        "paymentKey": payment_key, "orderId": order_id, "amount": PRICE,
        "customerEmail": "user@example.com", "customerName": "홍길동",
        "plan": "personal", "billingCycle": "monthly",
    });
    let token = token(id)?;
    loop {
        let request = stage.http.post(format!("{}/api/payments/confirm", stage.api_url)).json(&order);
        match request.bearer_auth(&token).send().await.map(|answer| answer.status()) {
            Ok(StatusCode::OK | StatusCode::ACCEPTED | StatusCode::PAYMENT_REQUIRED) => {
                tally.signed_up.fetch_add(1, Relaxed);
                return Ok(());
            }
            Ok(other) if other.is_client_error() && other != StatusCode::TOO_MANY_REQUESTS => {
                anyhow::bail!("a confirmation was answered {other}")
            }
            Ok(_) | Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
        }
    }
}

fn token(id: Uuid) -> anyhow::Result<String> {
    let claims = json!({ "sub": id, "exp": EXPIRES });
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(JWT_SECRET.as_bytes()))?)
}
