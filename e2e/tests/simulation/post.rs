//! The gateway's events on their way to us: some come at once, some late, some twice, and some are forged.

use common::commands::receive_webhook::{Arrival, receive_webhook};
use sandbox::EntryKind;
use serde_json::json;
use worker::env::Env;

use crate::{life::Life, process::Task};

/// What has not been delivered, or will be delivered once more.
#[derive(Default)]
pub(crate) struct Post {
    collected: usize,
    letters: Vec<Letter>,
    forged: usize,
}

#[derive(Clone)]
struct Letter {
    transmission_id: String,
    what: String,
    body: String,
}

impl Life<'_> {
    fn collect_the_post(&mut self) {
        let sent = self.bench.sandbox.webhooks();
        for event in &sent[self.post.collected..] {
            self.post.letters.push(Letter {
                transmission_id: event.transmission_id.clone(),
                what: event.event_type().unwrap_or_default(),
                body: event.body.clone(),
            });
        }
        self.post.collected = sent.len();
    }

    /// One event arrives, whichever; it may come again. The task that takes it in.
    pub(crate) fn an_event_arrives(&mut self, env: &Env) -> Option<(String, Task)> {
        self.collect_the_post();
        let last = self.post.letters.len().checked_sub(1)?;
        let place = usize::try_from(self.dice.between(0, i64::try_from(last).unwrap())).unwrap();
        let letter = self.post.letters[place].clone();
        if self.dice.percent(60.0) {
            self.post.letters.remove(place);
        }
        Some(arrives(env, letter))
    }

    /// The gateway gives up on nothing in the end.
    pub(crate) async fn all_events_arrive(&mut self) {
        self.collect_the_post();
        let env = self.bench.hosts[0].env.clone();
        for letter in std::mem::take(&mut self.post.letters) {
            let (what, task) = arrives(&env, letter);
            let end = task.await;
            self.story.tell(format!("{what}: {end}"));
        }
    }

    /// Somebody who knows our orders claims that the money went back, or that a card is gone.
    pub(crate) fn a_forgery_arrives(&mut self, env: &Env) -> Option<(String, Task)> {
        let entries = self.bench.sandbox.ledger(&sandbox::LedgerQuery::default()).entries;
        let captures: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::Capture).collect();
        if captures.is_empty() {
            return None;
        }
        let victim = self.dice.pick(&captures);
        self.post.forged += 1;
        let data = json!({
            "orderId": victim.order_id, "paymentKey": victim.payment_key, "status": "CANCELED",
            "secret": if self.dice.percent(50.0) { Some("ps_guessed") } else { None },
            "totalAmount": victim.amount, "balanceAmount": 0,
            "cancels": [{ "cancelAmount": victim.amount, "transactionKey": "forged", "cancelStatus": "DONE" }],
        });
        let kind = if self.dice.percent(80.0) { "PAYMENT_STATUS_CHANGED" } else { "BILLING_DELETED" };
        let letter = Letter {
            transmission_id: format!("forged_{}", self.post.forged),
            what: format!("forged {kind}"),
            body: json!({ "eventType": kind, "createdAt": "2026-12-01T00:00:00.000000", "data": data })
                .to_string(),
        };
        Some(arrives(env, letter))
    }
}

fn arrives(env: &Env, letter: Letter) -> (String, Task) {
    let (env, what) = (env.clone(), format!("{} arrives", letter.what));
    let task = async move {
        let taken_in = take_in(&env, letter).await;
        taken_in.map_or_else(|error| error.to_string(), |news| if news { "news" } else { "known" }.to_owned())
    };
    (what, Box::pin(task))
}

async fn take_in(env: &Env, letter: Letter) -> anyhow::Result<bool> {
    let arrival = Arrival {
        transmission_id: Some(letter.transmission_id),
        transmission_time: Some("2026-12-22T02:00:00+09:00".to_owned()),
        body: letter.body.into(),
        ..Arrival::default()
    };
    let mut tx = env.pool.begin().await?;
    let news = receive_webhook(&mut tx, &arrival, env.clock.now()).await?.is_some();
    tx.commit().await?;
    Ok(news)
}
