//! Operators end subscriptions at once, and erase customers who ask for it.

use common::{
    commands::{
        end::{Wish, end_subscription},
        erase_customer::erase_customer,
    },
    domain::ending::RefundPolicy,
};
use uuid::Uuid;
use worker::env::Env;

use crate::{life::Life, memory, operators::OPERATOR, process::Task};

impl Life<'_> {
    pub(crate) fn somebody_is_ended(&mut self, env: &Env) -> (String, Task) {
        let number = self.somebody();
        let policy = self.dice.weighted(&[(3, RefundPolicy::ProRata), (1, RefundPolicy::None)]);
        let (env, id) = (env.clone(), self.customers[number].subscription_id);
        let task = async move { end(&env, id, policy).await.unwrap_or_else(|error| error.to_string()) };
        (format!("an operator ends s{number}, gives back {policy}"), Box::pin(task))
    }

    pub(crate) async fn somebody_is_erased(&mut self, env: &Env) -> (String, Task) {
        let number = self.somebody_who_is(&["canceled"]).await;
        let (env, user_id) = (env.clone(), self.customers[number].user_id);
        let task = async move { erase(&env, user_id).await.unwrap_or_else(|error| error.to_string()) };
        (format!("an operator erases s{number}"), Box::pin(task))
    }
}

/// What goes back is what the days that were not used are worth, computed here once more.
async fn end(env: &Env, id: Uuid, policy: RefundPolicy) -> anyhow::Result<String> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let wish = Wish { subscription_id: id, policy, reason: "해지 요청", key: None, actor: OPERATOR };
    let ended = end_subscription(&mut tx, &env.brand, wish, now).await?;
    let share = memory::share(&mut tx, id, now).await?;
    let given = ended.refund.as_ref().map_or(0, |refund| refund.amount.get());
    if policy == RefundPolicy::ProRata && given != share {
        return Ok(format!("BROKEN: {given} won go back, {share} are right"));
    }
    memory::farewell(&mut tx, id).await?;
    tx.commit().await?;
    Ok(format!("{given} won go back"))
}

async fn erase(env: &Env, user_id: Uuid) -> anyhow::Result<String> {
    let mut tx = env.pool.begin().await?;
    let erased = erase_customer(&mut tx, user_id, OPERATOR, env.clock.now()).await?;
    tx.commit().await?;
    Ok(format!("erased: {}", erased.changed))
}
