//! Plan changes: customers change plan or cycle, consent to a higher amount, and withdraw the change.

use common::commands::change_plan::{ChangePlan, change_plan, undo_change};
use common::commands::consent::{Shown, give_consent};
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use common::store::plans;
use sqlx::PgConnection;
use uuid::Uuid;
use worker::env::Env;

use crate::oracle;
use crate::oracle::AgreedChange;
use crate::simulation::Simulation;
use crate::task_driver::TaskFuture;

/// The price of a plan, as the shop shows it.
pub(crate) async fn price(conn: &mut PgConnection, plan: &str, cycle: Cycle) -> i32 {
    plans::find(conn, plan).await.unwrap().unwrap().price(cycle).get()
}

impl Simulation<'_> {
    /// A customer changes the plan. Half of them consent at once, which counts only within the 30 days before.
    pub(crate) async fn plan_change_request(&mut self, env: &Env) -> (String, TaskFuture) {
        let number = self.random_customer_with_status(&["active", "past_due"]).await;
        let (plan, cycle) = self.random_offer(number).await;
        let agrees = self.rng.percent(50.0);
        let price = price(&mut self.testbed.admin_pool().acquire().await.unwrap(), plan, cycle).await;
        let (env, id, user) =
            (env.clone(), self.customers[number].subscription_id, self.customers[number].user_id);
        let task = async move {
            let change = match change(&env, (id, user), (plan, cycle), price).await {
                Ok(change) => change,
                Err(error) => return error.to_string(),
            };
            let from = format!("from {} on", change.effective_on);
            if !agrees {
                return from;
            }
            let answer = agree(&env, (id, user), 0).await;
            format!("{from}; {}", answer.unwrap_or_else(|error| error.to_string()))
        };
        (format!("s{number} changes to {plan} {cycle}, consents at once: {agrees}"), Box::pin(task))
    }

    /// Mostly another offer than the present one.
    async fn random_offer(&mut self, number: usize) -> (&'static str, Cycle) {
        let offers = [
            ("personal", Cycle::Monthly),
            ("pro", Cycle::Monthly),
            ("personal", Cycle::Yearly),
            ("pro", Cycle::Yearly),
        ];
        let now: (String, String) =
            sqlx::query_as("select plan, billing_cycle from subscriptions where id = $1")
                .bind(self.customers[number].subscription_id)
                .fetch_one(self.testbed.admin_pool())
                .await
                .unwrap();
        let others =
            offers.into_iter().filter(|(plan, cycle)| (*plan, cycle.into()) != (&now.0, now.1.as_str()));
        let others: Vec<_> = others.collect();
        if self.rng.percent(95.0) { self.rng.pick(&others) } else { self.rng.pick(&offers) }
    }

    async fn random_customer_with_pending_change(&mut self) -> usize {
        let such = sqlx::query_scalar("select subscription_id from plan_changes where status = 'pending'");
        let such: Vec<Uuid> = such.fetch_all(self.testbed.admin_pool()).await.unwrap();
        self.random_customer_of(&such)
    }

    pub(crate) async fn plan_change_withdrawal(&mut self, env: &Env) -> (String, TaskFuture) {
        let number = self.random_customer_with_pending_change().await;
        let (env, id, user) =
            (env.clone(), self.customers[number].subscription_id, self.customers[number].user_id);
        let task = async move {
            undo(&env, (id, user)).await.map_or_else(|error| error.to_string(), |()| "done".to_owned())
        };
        (format!("s{number} withdraws the change"), Box::pin(task))
    }

    /// A customer consents, sometimes to a wrong amount, which must be refused.
    pub(crate) async fn consent_request(&mut self, env: &Env) -> (String, TaskFuture) {
        let number = self.random_customer_with_pending_change().await;
        let off = if self.rng.percent(10.0) { self.rng.pick(&[-100, 100]) } else { 0 };
        let (env, id, user) =
            (env.clone(), self.customers[number].subscription_id, self.customers[number].user_id);
        let task =
            async move { agree(&env, (id, user), off).await.unwrap_or_else(|error| error.to_string()) };
        (format!("s{number} consents, off by {off}"), Box::pin(task))
    }
}

fn request_of((subscription_id, user_id): (Uuid, Uuid)) -> ChangePlan<'static> {
    ChangePlan { subscription_id, user_id, actor: "customer:simulation" }
}

async fn change(
    env: &Env,
    customer: (Uuid, Uuid),
    (plan, cycle): (&str, Cycle),
    amount: i32,
) -> anyhow::Result<AgreedChange> {
    let mut tx = env.pool.begin().await?;
    let (_, change) = change_plan(&mut tx, request_of(customer), plan, cycle, env.clock.now()).await?;
    let agreed = AgreedChange { effective_on: change.effective_on, amount };
    oracle::record_plan_change(&mut tx, customer.0, change.id, agreed, cycle).await?;
    tx.commit().await?;
    Ok(agreed)
}

async fn undo(env: &Env, customer: (Uuid, Uuid)) -> anyhow::Result<()> {
    let mut tx = env.pool.begin().await?;
    undo_change(&mut tx, request_of(customer), env.clock.now()).await?;
    oracle::void_withdrawn_changes(&mut tx, customer.0).await?;
    Ok(tx.commit().await?)
}

async fn agree(env: &Env, customer: (Uuid, Uuid), off: i32) -> anyhow::Result<String> {
    let mut tx = env.pool.begin().await?;
    let Some(change) = oracle::last_plan_change(&mut tx, customer.0).await? else {
        return Ok("nothing to consent to".to_owned());
    };
    let shown = Shown {
        text: "동의합니다.",
        amount: Won::new(i64::from(change.amount + off))?,
        effective_on: change.effective_on,
        ip: None,
        forwarded_for: None,
        user_agent: None,
    };
    let now = env.clock.now();
    give_consent(&mut tx, request_of(customer), shown, now).await?;
    if off != 0 {
        return Ok("VIOLATION I4: a consent to a wrong amount is accepted".to_owned());
    }
    oracle::record_consent(&mut tx, customer.0, now).await?;
    tx.commit().await?;
    Ok(format!("agreed to {}", change.amount))
}
