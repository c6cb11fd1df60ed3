//! Webhooks: what is to be sent, what was tried, and when the next try is due.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use crate::clock::event_stamp;
use crate::ids;

/// Toss's seven retries, in minutes after the try before.
const RETRY_AFTER: [TimeDelta; 7] = [
    TimeDelta::minutes(1),
    TimeDelta::minutes(4),
    TimeDelta::minutes(16),
    TimeDelta::minutes(64),
    TimeDelta::minutes(256),
    TimeDelta::minutes(1024),
    TimeDelta::minutes(4096),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// A try is due, running or planned.
    Pending,
    Delivered,
    /// The seventh retry failed.
    Failed,
    /// There was no webhook URL, or webhooks are held; a redelivery sends it.
    NotSent,
}

/// One try. `answer` is the HTTP status, or what went wrong.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    pub at: DateTime<Utc>,
    pub retried_count: usize,
    pub answer: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub id: u64,
    pub transmission_id: String,
    /// Sent as it is; a forged one may be anything.
    pub body: String,
    pub created_at: DateTime<Utc>,
    pub state: DeliveryState,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub deliveries: Vec<Delivery>,
}

impl Webhook {
    /// The body's `eventType`, where it has one.
    pub fn event_type(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Some(body.get("eventType")?.as_str()?.to_owned())
    }
}

/// What one try sends.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) id: u64,
    pub(crate) url: Url,
    pub(crate) transmission_id: String,
    pub(crate) retried_count: usize,
    pub(crate) sent_at: DateTime<Utc>,
    pub(crate) body: String,
    due: DateTime<Utc>,
}

#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pub(crate) url: Option<Url>,
    list: Vec<Webhook>,
}

impl Webhooks {
    pub(crate) fn event(&mut self, event_type: &str, data: &Value, now: DateTime<Utc>, hold: bool) -> u64 {
        let body = json!({ "eventType": event_type, "createdAt": event_stamp(now), "data": data });
        self.push(body.to_string(), now, hold)
    }

    pub(crate) fn push(&mut self, body: String, now: DateTime<Utc>, hold: bool) -> u64 {
        let id = u64::try_from(self.list.len()).unwrap_or(u64::MAX) + 1;
        let sends = self.url.is_some() && !hold;
        self.list.push(Webhook {
            id,
            transmission_id: ids::transmission_id(),
            body,
            created_at: now,
            state: if sends { DeliveryState::Pending } else { DeliveryState::NotSent },
            next_attempt_at: sends.then_some(now),
            deliveries: Vec::new(),
        });
        id
    }

    pub(crate) fn list(&self) -> &[Webhook] {
        &self.list
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Webhook> {
        self.list.iter_mut().find(|webhook| webhook.id == id)
    }

    /// Sends once more under the same transmission id, whatever became of it before. False for an unknown id.
    pub(crate) fn redeliver(&mut self, id: u64, now: DateTime<Utc>) -> bool {
        let Some(webhook) = self.get_mut(id) else { return false };
        webhook.state = DeliveryState::Pending;
        webhook.next_attempt_at = Some(now);
        true
    }

    /// Takes the tries that are due; each must come back through [`Webhooks::tried`].
    pub(crate) fn take_due(&mut self, now: DateTime<Utc>) -> Vec<Dispatch> {
        let Some(url) = &self.url else { return Vec::new() };
        let due = self.list.iter_mut().filter(|webhook| webhook.next_attempt_at.is_some_and(|at| at <= now));
        due.map(|webhook| Dispatch {
            id: webhook.id,
            url: url.clone(),
            transmission_id: webhook.transmission_id.clone(),
            retried_count: webhook.deliveries.len(),
            sent_at: now,
            body: webhook.body.clone(),
            due: webhook.next_attempt_at.take().unwrap_or(now),
        })
        .collect()
    }

    /// Notes the answer. The next try is planned from when this one was due, so that a jump of the clock over
    /// several of them makes them all.
    pub(crate) fn tried(&mut self, dispatch: &Dispatch, answer: String) {
        let Some(webhook) = self.get_mut(dispatch.id) else { return };
        let delivered = answer == "200";
        let retried_count = dispatch.retried_count;
        webhook.deliveries.push(Delivery { at: dispatch.sent_at, retried_count, answer });
        if delivered {
            webhook.state = DeliveryState::Delivered;
        } else if let Some(wait) = RETRY_AFTER.get(retried_count) {
            webhook.next_attempt_at = Some(dispatch.due + *wait);
        } else {
            webhook.state = DeliveryState::Failed;
        }
    }
}
