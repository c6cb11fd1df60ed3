//! The webhooks of the gateway: they arrive late, twice, out of order, or are forged.

use common::commands::receive_webhook::{Arrival, receive_webhook};
use sandbox::EntryKind;
use serde_json::json;
use worker::env::Env;

use crate::{simulation::Simulation, task_driver::TaskFuture};

/// The webhooks that wait for their delivery, first or repeated.
#[derive(Default)]
pub(crate) struct WebhookQueue {
    collected: usize,
    waiting: Vec<Webhook>,
    forged: usize,
}

#[derive(Clone)]
struct Webhook {
    transmission_id: String,
    description: String,
    body: String,
}

impl Simulation<'_> {
    fn collect_webhooks(&mut self) {
        let sent = self.testbed.sandbox.webhooks();
        for event in &sent[self.webhooks.collected..] {
            self.webhooks.waiting.push(Webhook {
                transmission_id: event.transmission_id.clone(),
                description: event.event_type().unwrap_or_default(),
                body: event.body.clone(),
            });
        }
        self.webhooks.collected = sent.len();
    }

    /// Delivers a random webhook. It may be delivered again.
    pub(crate) fn webhook_delivery(&mut self, env: &Env) -> Option<(String, TaskFuture)> {
        self.collect_webhooks();
        let last = self.webhooks.waiting.len().checked_sub(1)?;
        let place = usize::try_from(self.rng.between(0, i64::try_from(last).unwrap())).unwrap();
        let webhook = self.webhooks.waiting[place].clone();
        if self.rng.percent(60.0) {
            self.webhooks.waiting.remove(place);
        }
        Some(delivery(env, webhook))
    }

    /// Delivers every waiting webhook.
    pub(crate) async fn deliver_all_webhooks(&mut self) {
        self.collect_webhooks();
        let env = self.testbed.processes[0].env.clone();
        for webhook in std::mem::take(&mut self.webhooks.waiting) {
            let (description, task) = delivery(&env, webhook);
            let result = task.await;
            self.trace.record(format!("{description}: {result}"));
        }
    }

    /// Delivers a forged webhook that claims a refund or a deleted card.
    pub(crate) fn forged_webhook(&mut self, env: &Env) -> Option<(String, TaskFuture)> {
        let entries = self.testbed.sandbox.ledger(&sandbox::LedgerQuery::default()).entries;
        let captures: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::Capture).collect();
        if captures.is_empty() {
            return None;
        }
        let target = self.rng.pick(&captures);
        self.webhooks.forged += 1;
        let data = json!({
            "orderId": target.order_id, "paymentKey": target.payment_key, "status": "CANCELED",
            "secret": if self.rng.percent(50.0) { Some("ps_guessed") } else { None },
            "totalAmount": target.amount, "balanceAmount": 0,
            "cancels": [{ "cancelAmount": target.amount, "transactionKey": "forged", "cancelStatus": "DONE" }],
        });
        let kind = if self.rng.percent(80.0) { "PAYMENT_STATUS_CHANGED" } else { "BILLING_DELETED" };
        let webhook = Webhook {
            transmission_id: format!("forged_{}", self.webhooks.forged),
            description: format!("forged {kind}"),
            body: json!({ "eventType": kind, "createdAt": "2026-12-01T00:00:00.000000", "data": data })
                .to_string(),
        };
        Some(delivery(env, webhook))
    }
}

fn delivery(env: &Env, webhook: Webhook) -> (String, TaskFuture) {
    let (env, description) = (env.clone(), format!("{} arrives", webhook.description));
    let task = async move {
        let received = receive(&env, webhook).await;
        received
            .map_or_else(|error| error.to_string(), |is_new| if is_new { "new" } else { "known" }.to_owned())
    };
    (description, Box::pin(task))
}

async fn receive(env: &Env, webhook: Webhook) -> anyhow::Result<bool> {
    let arrival = Arrival {
        transmission_id: Some(webhook.transmission_id),
        transmission_time: Some("2026-12-22T02:00:00+09:00".to_owned()),
        body: webhook.body.into(),
        ..Arrival::default()
    };
    let mut tx = env.pool.begin().await?;
    let is_new = receive_webhook(&mut tx, &arrival, env.clock.now()).await?.is_some();
    tx.commit().await?;
    Ok(is_new)
}
