//! Taking a webhook in: kept as it came, once per transmission, with the job that looks at it in the same commit.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::id::new_id;
use crate::jobs;
use crate::jobs::{HandleWebhook, QueueError};
use crate::store::webhooks::{NewWebhook, WebhookEnd};
use crate::store::{StoreError, webhooks};
use crate::webhook::{Hint, event_type, hint, keepable};

/// Longer ones than Toss sends are not names but attacks on an index.
const LONGEST_TRANSMISSION_ID: usize = 200;

/// A webhook as it reached us. Headers that were not sent are none.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// `tosspayments-webhook-transmission-id`
    pub transmission_id: Option<String>,
    /// `tosspayments-webhook-transmission-time`
    pub transmission_time: Option<String>,
    /// `tosspayments-webhook-transmission-retried-count`
    pub retried_count: Option<String>,
    pub content_type: Option<String>,
    /// The address it was sent from, and whom a proxy says that it sent it for.
    pub sender: Option<String>,
    pub forwarded_for: Option<String>,
    /// At most 64 KiB; whatever was sent.
    pub body: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Keeps the webhook and queues its job, unless the same transmission came before (none is answered then).
/// The caller commits, and only then tells Toss that it has arrived.
pub async fn receive_webhook(
    conn: &mut PgConnection,
    arrival: &Arrival,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, ReceiveError> {
    let id = new_id(now);
    let (transmission_id, kind) = (transmission(arrival), event_type(&arrival.body));
    let body = keepable(&arrival.body);
    let new = NewWebhook {
        id,
        transmission_id: &transmission_id,
        headers: headers(arrival),
        body: &body,
        event_type: kind.as_deref(),
    };
    if !webhooks::insert(conn, &new, now).await? {
        return Ok(None);
    }
    match hint(&arrival.body) {
        Hint::Payment(_) | Hint::BillingKeyDeleted(_) | Hint::Other(_) => {
            jobs::enqueue(conn, &HandleWebhook { webhook_id: id }, now, now).await?;
        }
        Hint::Unreadable => {
            webhooks::settle(
                conn,
                (id, None),
                WebhookEnd::Ignored,
                "the body is not a JSON object",
                new.body,
                now,
            )
            .await?;
        }
    }
    Ok(Some(id))
}

/// The name Toss gave the event; without a usable one, what makes this sending of it what it is.
fn transmission(arrival: &Arrival) -> String {
    let given = arrival.transmission_id.as_deref().map(str::trim);
    if let Some(id) = given.filter(|id| !id.is_empty() && id.len() <= LONGEST_TRANSMISSION_ID) {
        return id.to_owned();
    }
    let time = arrival.transmission_time.as_deref().unwrap_or_default();
    let hash = Sha256::new().chain_update(time).chain_update([0]).chain_update(&arrival.body).finalize();
    format!("hash:{}", URL_SAFE_NO_PAD.encode(hash))
}

fn headers(arrival: &Arrival) -> Value {
    let named = [
        ("tosspayments-webhook-transmission-id", &arrival.transmission_id),
        ("tosspayments-webhook-transmission-time", &arrival.transmission_time),
        ("tosspayments-webhook-transmission-retried-count", &arrival.retried_count),
        ("content-type", &arrival.content_type),
        ("sender", &arrival.sender),
        ("x-forwarded-for", &arrival.forwarded_for),
    ];
    let sent = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
    Value::Object(sent.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(id: Option<&str>, time: &str, body: &str) -> Arrival {
        Arrival {
            transmission_id: id.map(str::to_owned),
            transmission_time: Some(time.to_owned()),
            body: body.into(),
            ..Arrival::default()
        }
    }

    #[test]
    fn a_webhook_is_known_by_its_transmission_id_or_its_content() {
        let name = |id, time, body| transmission(&arrival(id, time, body));
        assert_eq!(name(Some("whtrans_1"), "t", "b"), "whtrans_1");
        let hashed = name(None, "t", "b");
        assert!(hashed.starts_with("hash:"), "{hashed}");
        assert_eq!(hashed, name(Some(" "), "t", "b"));
        assert_ne!(hashed, name(None, "t", "c"));
        assert_ne!(hashed, name(None, "u", "b"));
        assert_eq!(name(Some(&"x".repeat(3_000)), "t", "b"), hashed);
    }

    #[test]
    fn only_headers_that_were_sent_are_kept() {
        let kept = headers(&arrival(Some("whtrans_1"), "t", ""));
        assert_eq!(kept.as_object().unwrap().len(), 2);
        assert_eq!(kept["tosspayments-webhook-transmission-time"], "t");
    }
}
