//! What operators do: stop charging, refund, decide about held invoices, retry parked jobs, end subscriptions, erase
//! customers; and the accountant who refunds in the gateway's dashboard without telling us.

use chrono::{DateTime, Utc};
use common::commands::end::end_subscription;
use common::commands::erase_customer::erase_customer;
use common::commands::refund::request_refund;
use common::commands::{end, refund};
use common::domain::actor::{Actor, Reason};
use common::domain::ending::RefundPolicy;
use common::domain::money::Won;
use common::email::Brand;
use common::store::settings;
use ops::action::{Acting, Author};
use sandbox::{EntryKind, LedgerQuery};
use uuid::Uuid;
use worker::env::Env;

use crate::{oracle, simulation::Simulation, task_driver::TaskFuture, trace};

const OPERATOR: &str = "operator:simulation";

fn acting(now: DateTime<Utc>) -> Acting {
    let brand = Brand { name: "집체크".to_owned(), public_url: "https://example.com".parse().unwrap() };
    Acting { actor: Actor::command_line("simulation", "root", None), brand, now }
}

/// The operator of a change that is no action.
pub(crate) fn author(now: DateTime<Utc>) -> Author {
    Author { actor: acting(now).actor, reason: reason("simulation"), now }
}

fn reason(text: &str) -> Reason {
    Reason::parse(text).unwrap()
}

impl Simulation<'_> {
    pub(crate) async fn switch_charging(&mut self, on: bool) {
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        if settings::charging_enabled(&mut conn).await.unwrap() == on {
            return;
        }
        let now = self.testbed.now();
        settings::switch_charging(&mut conn, on, OPERATOR, "simulation", now).await.unwrap();
        self.trace.record(format!("charging enabled: {on}"));
    }

    pub(crate) async fn pause_random_customer(&mut self) {
        let number = self.random_customer();
        let id = self.customers[number].subscription_id;
        let now = self.testbed.now();
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        ops::subscription::pause(&mut conn, id, &reason("simulation"), &acting(now)).await.unwrap();
        self.trace.record(format!("charging of s{number} is paused"));
    }

    pub(crate) async fn resume_all_customers(&mut self) {
        let now = self.testbed.now();
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        for customer in &self.customers {
            ops::subscription::resume(
                &mut conn,
                customer.subscription_id,
                &reason("simulation"),
                &acting(now),
            )
            .await
            .unwrap();
        }
    }

    /// Retries the jobs that crashed their workers too often.
    pub(crate) async fn retry_parked_jobs(&mut self) {
        let parked: Vec<i64> = sqlx::query_scalar("select id from jobs where state = 'parked' order by id")
            .fetch_all(self.testbed.admin_pool())
            .await
            .unwrap();
        let now = self.testbed.now();
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        for id in parked {
            ops::jobs::retry(&mut conn, id, &reason("simulation"), &acting(now)).await.unwrap();
            self.trace.record(format!("an operator retries job {id}"));
        }
    }

    /// Charges or forgives each held invoice.
    pub(crate) async fn decide_held_invoices(&mut self) {
        let now = self.testbed.now();
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        let mut held = ops::invoices::held(&mut conn).await.unwrap().0;
        held.sort_by_key(|line| (trace::customer_label(self, line.subscription_id), line.period_no));
        for line in held {
            let customer = trace::customer_label(self, line.subscription_id);
            let charged = self.rng.percent(50.0)
                && ops::invoices::charge(&mut conn, line.id, &reason("charge it"), &acting(now))
                    .await
                    .is_ok();
            let forgiven = !charged
                && ops::invoices::forgive(&mut conn, line.id, &reason("outage"), &acting(now)).await.is_ok();
            self.trace.record(format!(
                "held: {customer}/p{}, charged: {charged}, forgiven: {forgiven}",
                line.period_no
            ));
        }
        self.wake_all_slots();
    }

    /// An operator refunds a payment, in part or in full.
    pub(crate) async fn refund_request(&mut self, env: &Env) -> Option<(String, TaskFuture)> {
        let captured: Vec<(Uuid, String, i32)> = sqlx::query_as(
            "select id, order_id, amount from payments where status in ('completed', 'partially_refunded')
              order by created_at, order_id",
        )
        .fetch_all(self.testbed.admin_pool())
        .await
        .unwrap();
        if captured.is_empty() {
            return None;
        }
        let (payment_id, order_id, amount) = self.rng.pick(&captured);
        let part = self.rng.percent(60.0).then(|| self.rng.between(1, i64::from(amount)));
        *self.requested_refunds.entry(order_id.clone()).or_default() += part.unwrap_or(amount.into());
        let (env, name) = (env.clone(), trace::order_label(self, &order_id));
        let task = async move {
            match request(&env, payment_id, part).await {
                Ok(()) => "requested".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        Some((format!("an operator refunds {part:?} of {name}"), Box::pin(task)))
    }

    /// Refunds in the gateway's dashboard: a webhook or the reconciliation reports it later.
    pub(crate) fn refund_in_dashboard(&mut self) {
        let entries = self.testbed.sandbox.ledger(&LedgerQuery::default()).entries;
        let captures: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::Capture).collect();
        if captures.is_empty() {
            return;
        }
        let chosen = self.rng.pick(&captures);
        let part = self.rng.percent(60.0).then(|| self.rng.between(1, chosen.amount));
        let name = trace::order_label(self, &chosen.order_id);
        let succeeded =
            self.testbed.sandbox.cancel_in_dashboard(&chosen.payment_key, part, "고객 요청").is_ok();
        if succeeded {
            *self.requested_refunds.entry(chosen.order_id.clone()).or_default() +=
                part.unwrap_or(chosen.amount);
        }
        self.trace.record(format!("the dashboard refunds {part:?} of {name}: {succeeded}"));
    }
}

async fn request(env: &Env, payment_id: Uuid, part: Option<i64>) -> anyhow::Result<()> {
    let amount = part.map(Won::new).transpose()?;
    let mut tx = env.pool.begin().await?;
    let request =
        refund::RefundRequest { payment_id, amount, reason: "고객 요청", key: None, actor: OPERATOR };
    request_refund(&mut tx, request, env.clock.now()).await?;
    Ok(tx.commit().await?)
}
impl Simulation<'_> {
    pub(crate) fn end_request(&mut self, env: &Env) -> (String, TaskFuture) {
        let number = self.random_customer();
        let policy = self.rng.weighted(&[(3, RefundPolicy::ProRata), (1, RefundPolicy::None)]);
        let (env, id) = (env.clone(), self.customers[number].subscription_id);
        let task =
            async move { end_at_once(&env, id, policy).await.unwrap_or_else(|error| error.to_string()) };
        (format!("an operator ends s{number}, refund: {policy}"), Box::pin(task))
    }

    pub(crate) async fn erasure_request(&mut self, env: &Env) -> (String, TaskFuture) {
        let number = self.random_customer_with_status(&["canceled"]).await;
        let (env, user_id) = (env.clone(), self.customers[number].user_id);
        let task = async move { erase(&env, user_id).await.unwrap_or_else(|error| error.to_string()) };
        (format!("an operator erases s{number}"), Box::pin(task))
    }
}

/// Ends a subscription at once. The oracle computes the prorated refund once more.
async fn end_at_once(env: &Env, id: Uuid, policy: RefundPolicy) -> anyhow::Result<String> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let request =
        end::EndSubscription {
            subscription_id: id, policy, reason: "해지 요청", key: None, actor: OPERATOR
        };
    let ended = end_subscription(&mut tx, &env.brand, request, now).await?;
    let expected = oracle::prorated_refund(&mut tx, id, now).await?;
    let refunded = ended.refund.as_ref().map_or(0, |refund| refund.amount.get());
    if policy == RefundPolicy::ProRata && refunded != expected {
        return Ok(format!("VIOLATION I1: {refunded} won are refunded, {expected} are right"));
    }
    oracle::record_cancellation(&mut tx, id).await?;
    tx.commit().await?;
    Ok(format!("{refunded} won are refunded"))
}

async fn erase(env: &Env, user_id: Uuid) -> anyhow::Result<String> {
    let mut tx = env.pool.begin().await?;
    let erased = erase_customer(&mut tx, user_id, OPERATOR, env.clock.now()).await?;
    tx.commit().await?;
    Ok(format!("erased: {}", erased.changed))
}
