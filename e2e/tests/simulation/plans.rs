//! What people want to pay for: another plan or cycle, a yes to more, and all of it taken back.

use common::{
    commands::{
        change_plan::{Wish, change_plan, undo_change},
        consent::{Shown, give_consent},
    },
    domain::{calendar::Cycle, money::Won},
    store::plans,
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker::env::Env;

use crate::{
    life::Life,
    memory::{self, Wished},
    process::Task,
};

/// What the plan costs, as the shop shows it.
pub(crate) async fn price(conn: &mut PgConnection, plan: &str, cycle: Cycle) -> i32 {
    plans::find(conn, plan).await.unwrap().unwrap().price(cycle).get()
}

impl Life<'_> {
    /// Half of them agree to it in the same breath, which counts only where it can.
    pub(crate) async fn somebody_changes_the_plan(&mut self, env: &Env) -> (String, Task) {
        let number = self.somebody_who_is(&["active", "past_due"]).await;
        let (plan, cycle) = self.another_offer(number).await;
        let agrees = self.dice.percent(50.0);
        let price = price(&mut self.bench.desk().acquire().await.unwrap(), plan, cycle).await;
        let (env, id, user) =
            (env.clone(), self.customers[number].subscription_id, self.customers[number].user_id);
        let task = async move {
            let wished = match change(&env, (id, user), (plan, cycle), price).await {
                Ok(wished) => wished,
                Err(error) => return error.to_string(),
            };
            let from = format!("from {} on", wished.effective_on);
            if !agrees {
                return from;
            }
            let answer = agree(&env, (id, user), 0).await;
            format!("{from}; {}", answer.unwrap_or_else(|error| error.to_string()))
        };
        (format!("s{number} wants {plan} {cycle}, and agrees at once: {agrees}"), Box::pin(task))
    }

    /// Mostly something else than they have.
    async fn another_offer(&mut self, number: usize) -> (&'static str, Cycle) {
        let offers = [
            ("personal", Cycle::Monthly),
            ("pro", Cycle::Monthly),
            ("personal", Cycle::Yearly),
            ("pro", Cycle::Yearly),
        ];
        let now: (String, String) =
            sqlx::query_as("select plan, billing_cycle from subscriptions where id = $1")
                .bind(self.customers[number].subscription_id)
                .fetch_one(self.bench.desk())
                .await
                .unwrap();
        let others =
            offers.into_iter().filter(|(plan, cycle)| (*plan, cycle.into()) != (&now.0, now.1.as_str()));
        let others: Vec<_> = others.collect();
        if self.dice.percent(95.0) { self.dice.pick(&others) } else { self.dice.pick(&offers) }
    }

    async fn somebody_who_waits_for_a_change(&mut self) -> usize {
        let such = sqlx::query_scalar("select subscription_id from plan_changes where status = 'pending'");
        let such: Vec<Uuid> = such.fetch_all(self.bench.desk()).await.unwrap();
        self.one_of(&such)
    }

    pub(crate) async fn somebody_takes_the_change_back(&mut self, env: &Env) -> (String, Task) {
        let number = self.somebody_who_waits_for_a_change().await;
        let (env, id, user) =
            (env.clone(), self.customers[number].subscription_id, self.customers[number].user_id);
        let task = async move {
            undo(&env, (id, user)).await.map_or_else(|error| error.to_string(), |()| "so it is".to_owned())
        };
        (format!("s{number} takes the change back"), Box::pin(task))
    }

    /// Sometimes to an amount that is not asked for: that is no yes.
    pub(crate) async fn somebody_consents(&mut self, env: &Env) -> (String, Task) {
        let number = self.somebody_who_waits_for_a_change().await;
        let off = if self.dice.percent(10.0) { self.dice.pick(&[-100, 100]) } else { 0 };
        let (env, id, user) =
            (env.clone(), self.customers[number].subscription_id, self.customers[number].user_id);
        let task =
            async move { agree(&env, (id, user), off).await.unwrap_or_else(|error| error.to_string()) };
        (format!("s{number} agrees, off by {off}"), Box::pin(task))
    }
}

fn wish((subscription_id, user_id): (Uuid, Uuid)) -> Wish<'static> {
    Wish { subscription_id, user_id, actor: "customer:simulation" }
}

async fn change(
    env: &Env,
    whose: (Uuid, Uuid),
    (plan, cycle): (&str, Cycle),
    amount: i32,
) -> anyhow::Result<Wished> {
    let mut tx = env.pool.begin().await?;
    let (_, change) = change_plan(&mut tx, wish(whose), plan, cycle, env.clock.now()).await?;
    let wished = Wished { effective_on: change.effective_on, amount };
    memory::wish(&mut tx, whose.0, change.id, wished, cycle).await?;
    tx.commit().await?;
    Ok(wished)
}

async fn undo(env: &Env, whose: (Uuid, Uuid)) -> anyhow::Result<()> {
    let mut tx = env.pool.begin().await?;
    undo_change(&mut tx, wish(whose), env.clock.now()).await?;
    memory::forget_withdrawn(&mut tx, whose.0).await?;
    Ok(tx.commit().await?)
}

async fn agree(env: &Env, whose: (Uuid, Uuid), off: i32) -> anyhow::Result<String> {
    let mut tx = env.pool.begin().await?;
    let Some(wished) = memory::last_wish(&mut tx, whose.0).await? else {
        return Ok("there is nothing to agree to".to_owned());
    };
    let shown = Shown {
        text: "동의합니다.",
        amount: Won::new(i64::from(wished.amount + off))?,
        effective_on: wished.effective_on,
        ip: None,
        forwarded_for: None,
        user_agent: None,
    };
    let now = env.clock.now();
    give_consent(&mut tx, wish(whose), shown, now).await?;
    if off != 0 {
        return Ok("BROKEN: a yes to another amount is taken for one".to_owned());
    }
    memory::consent(&mut tx, whose.0, now).await?;
    tx.commit().await?;
    Ok(format!("agreed to {}", wished.amount))
}
