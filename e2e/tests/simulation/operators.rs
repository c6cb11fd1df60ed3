//! What operators do: pause and stop charging, give money back, decide about held periods, let parked jobs run again;
//! and the bookkeeper who refunds in the gateway's dashboard behind our back.

use common::{
    commands::refund::{Wish, request_refund},
    domain::money::Won,
    store::settings,
};
use sandbox::{EntryKind, LedgerQuery};
use uuid::Uuid;
use worker::env::Env;

use crate::{life::Life, process::Task};

pub(crate) const OPERATOR: &str = "operator:simulation";

impl Life<'_> {
    pub(crate) async fn switch_charging(&mut self, on: bool) {
        let mut conn = self.bench.desk().acquire().await.unwrap();
        if settings::charging_enabled(&mut conn).await.unwrap() == on {
            return;
        }
        let now = self.bench.now();
        settings::switch_charging(&mut conn, on, OPERATOR, "a whim", now).await.unwrap();
        self.story.tell(format!("charging enabled: {on}"));
    }

    pub(crate) async fn pause_somebody(&mut self) {
        let number = self.somebody();
        let id = self.customers[number].subscription_id;
        let now = self.bench.now();
        let mut conn = self.bench.desk().acquire().await.unwrap();
        ops::subscription::pause(&mut conn, id, "a whim", OPERATOR, now).await.unwrap();
        self.story.tell(format!("charging of s{number} is paused"));
    }

    pub(crate) async fn resume_everybody(&mut self) {
        let now = self.bench.now();
        let mut conn = self.bench.desk().acquire().await.unwrap();
        for customer in &self.customers {
            ops::subscription::resume(&mut conn, customer.subscription_id, "enough", OPERATOR, now)
                .await
                .unwrap();
        }
    }

    /// An operator lets jobs run again that killed their workers too often.
    pub(crate) async fn help_parked_jobs(&mut self) {
        let parked: Vec<i64> = sqlx::query_scalar("select id from jobs where state = 'parked' order by id")
            .fetch_all(self.bench.desk())
            .await
            .unwrap();
        let now = self.bench.now();
        let mut conn = self.bench.desk().acquire().await.unwrap();
        for id in parked {
            ops::jobs::retry(&mut conn, id, OPERATOR, now).await.unwrap();
            self.story.tell(format!("an operator lets job {id} run again"));
        }
    }

    /// Each period that nothing ran for is charged or forgiven, as the operator likes.
    pub(crate) async fn decide_held_periods(&mut self) {
        let now = self.bench.now();
        let mut conn = self.bench.desk().acquire().await.unwrap();
        let mut held = ops::invoices::held(&mut conn).await.unwrap().0;
        held.sort_by_key(|line| (crate::watch::customer(self, line.subscription_id), line.period_no));
        for line in held {
            let whose = crate::watch::customer(self, line.subscription_id);
            let charged = self.dice.percent(50.0)
                && ops::invoices::charge(&mut conn, line.id, OPERATOR, now).await.is_ok();
            let forgiven =
                !charged && ops::invoices::forgive(&mut conn, line.id, "outage", OPERATOR, now).await.is_ok();
            self.story.tell(format!(
                "held: {whose}/p{}, to be charged: {charged}, forgiven: {forgiven}",
                line.period_no
            ));
        }
        self.wake_all();
    }

    /// An operator gives money back; the task that does it.
    pub(crate) async fn somebody_refunds(&mut self, env: &Env) -> Option<(String, Task)> {
        let captured: Vec<(Uuid, String, i32)> = sqlx::query_as(
            "select id, order_id, amount from payments where status in ('completed', 'partially_refunded')
              order by created_at, order_id",
        )
        .fetch_all(self.bench.desk())
        .await
        .unwrap();
        if captured.is_empty() {
            return None;
        }
        let (payment_id, order_id, amount) = self.dice.pick(&captured);
        let part = self.dice.percent(60.0).then(|| self.dice.between(1, i64::from(amount)));
        *self.wished.entry(order_id.clone()).or_default() += part.unwrap_or(amount.into());
        let (env, name) = (env.clone(), crate::watch::order(self, &order_id));
        let task = async move {
            match refund(&env, payment_id, part).await {
                Ok(()) => "asked for".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        Some((format!("an operator refunds {part:?} of {name}"), Box::pin(task)))
    }

    /// The gateway's own dashboard gives money back: some day an event tells, or the comparison of the books.
    pub(crate) fn a_refund_in_the_dashboard(&mut self) {
        let entries = self.bench.sandbox.ledger(&LedgerQuery::default()).entries;
        let captures: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::Capture).collect();
        if captures.is_empty() {
            return;
        }
        let chosen = self.dice.pick(&captures);
        let part = self.dice.percent(60.0).then(|| self.dice.between(1, chosen.amount));
        let name = crate::watch::order(self, &chosen.order_id);
        let done = self.bench.sandbox.cancel_in_dashboard(&chosen.payment_key, part, "고객 요청").is_ok();
        if done {
            *self.wished.entry(chosen.order_id.clone()).or_default() += part.unwrap_or(chosen.amount);
        }
        self.story.tell(format!("the dashboard refunds {part:?} of {name}: {done}"));
    }
}

async fn refund(env: &Env, payment_id: Uuid, part: Option<i64>) -> anyhow::Result<()> {
    let amount = part.map(Won::new).transpose()?;
    let mut tx = env.pool.begin().await?;
    let wish = Wish { payment_id, amount, reason: "고객 요청", key: None, actor: OPERATOR };
    request_refund(&mut tx, wish, env.clock.now()).await?;
    Ok(tx.commit().await?)
}
