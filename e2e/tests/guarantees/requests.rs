//! What customers ask of their plan, as the API records it, and what is pending afterwards.

use chrono::NaiveDate;
use common::commands::change_plan::{ChangeError, ChangePlan, change_plan, pending_change, undo_change};
use common::commands::consent::{ConsentError, Shown, give_consent, wording};
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use common::domain::plan_change::{ChangeRefused, ConsentRefused, PlanChange};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::world::World;

async fn user(world: &World, id: Uuid) -> ChangePlan<'static> {
    let user_id = world.history(id).await.subscription.user_id;
    ChangePlan { subscription_id: id, user_id, actor: "customer:test" }
}

pub(crate) async fn change(
    world: &World,
    id: Uuid,
    plan: &str,
    cycle: Cycle,
) -> Result<PlanChange, ChangeRefused> {
    let wish = user(world, id).await;
    let mut tx = world.pool.begin().await.unwrap();
    match change_plan(&mut tx, wish, plan, cycle, world.now()).await {
        Ok((_, change)) => {
            tx.commit().await.unwrap();
            Ok(change)
        }
        Err(ChangeError::Refused(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

pub(crate) async fn undo(world: &World, id: Uuid) -> bool {
    let wish = user(world, id).await;
    let mut tx = world.pool.begin().await.unwrap();
    match undo_change(&mut tx, wish, world.now()).await {
        Ok(_) => tx.commit().await.unwrap(),
        Err(ChangeError::NothingPending) => return false,
        Err(other) => panic!("{other}"),
    }
    true
}

pub(crate) async fn pending(world: &World, id: Uuid) -> Option<PlanChange> {
    let mut conn = world.pool.acquire().await.unwrap();
    pending_change(&mut conn, id).await.unwrap()
}

/// A yes to what is pending, said now.
pub(crate) async fn consent(world: &World, id: Uuid) -> Result<(), ConsentRefused> {
    let change = pending(world, id).await.unwrap();
    consent_to(world, id, change.to.amount.get().into(), change.effective_on).await
}

pub(crate) async fn consent_to(
    world: &World,
    id: Uuid,
    amount: i64,
    effective_on: NaiveDate,
) -> Result<(), ConsentRefused> {
    let mut tx = world.pool.begin().await.unwrap();
    say_yes(world, &mut tx, id, amount, effective_on).await?;
    tx.commit().await.unwrap();
    Ok(())
}

/// The same, in a transaction that the caller commits when it likes.
pub(crate) async fn say_yes(
    world: &World,
    conn: &mut PgConnection,
    id: Uuid,
    amount: i64,
    effective_on: NaiveDate,
) -> Result<(), ConsentRefused> {
    let wish = user(world, id).await;
    let text = wording(&pending(world, id).await.unwrap(), "프로", None);
    let shown = Shown {
        text: &text,
        amount: Won::new(amount).unwrap(),
        effective_on,
        ip: Some("203.0.113.7"),
        forwarded_for: None,
        user_agent: Some("Mozilla/5.0"),
    };
    match give_consent(conn, wish, shown, world.now()).await {
        Ok(_) => Ok(()),
        Err(ConsentError::Refused(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

/// How each change that was ever wanted ended, in the order in which they were asked for.
pub(crate) async fn ends(world: &World, id: Uuid) -> Vec<String> {
    sqlx::query_scalar("select status from plan_changes where subscription_id = $1 order by created_at, id")
        .bind(id)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

pub(crate) fn count(world: &World, subject: &str) -> usize {
    world.subjects().iter().filter(|found| *found == subject).count()
}
