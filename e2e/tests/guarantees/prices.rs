//! What operators do with prices, as their commands do it, and who has which plan change of it afterwards.

use common::commands::announce_price::{Announcement, announce_price};
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use common::domain::plan_change::PlanChange;
use common::domain::price_change::PriceChange;
use common::store::plan_changes;
use ops::{OpsError, consents, price_changes, reprice};
use uuid::Uuid;

use crate::world::World;

pub(crate) const OPERATOR: &str = "operator:test";

fn won(amount: i64) -> Won {
    Won::new(amount).unwrap()
}

pub(crate) fn monthly(price: i64, from: &str) -> reprice::PriceRequest {
    reprice::PriceRequest {
        plan: "personal".to_owned(),
        monthly: Some(won(price)),
        yearly: None,
        was: None,
        from: from.parse().unwrap(),
        reason: "higher costs".to_owned(),
    }
}

/// `billing plans reprice` of the personal plan.
pub(crate) async fn reprice(world: &World, wish: reprice::PriceRequest) -> Result<Uuid, OpsError> {
    let mut conn = world.pool.acquire().await.unwrap();
    let done = reprice::reprice(&mut conn, &wish, false, &world.author("test", &wish.reason)).await?;
    Ok(done.prices[0].id.unwrap())
}

/// The personal plan by the month.
pub(crate) async fn new_price(world: &World, price: i64, from: &str) -> Uuid {
    reprice(world, monthly(price, from)).await.unwrap()
}

/// Only the announcement: the command died before it made a single plan change.
pub(crate) async fn only_announce(world: &World, price: i64, from: &str) -> PriceChange {
    let mut tx = world.pool.begin().await.unwrap();
    let wanted = Announcement {
        plan: "personal",
        cycle: Cycle::Monthly,
        price: won(price),
        was: None,
        effective_from: from.parse().unwrap(),
        actor: OPERATOR,
        reason: "higher costs",
    };
    let announced = announce_price(&mut tx, wanted, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    announced
}

pub(crate) async fn withdraw(world: &World, id: Uuid) -> Result<i64, OpsError> {
    let mut conn = world.pool.acquire().await.unwrap();
    let withdrawn = price_changes::withdraw(&mut conn, id, &world.author("test", "a mistake")).await?;
    Ok(withdrawn.at_new_price)
}

/// The answers in the report, in the order of date and subscription.
pub(crate) async fn answers(world: &World, id: Uuid) -> Vec<String> {
    let mut conn = world.pool.acquire().await.unwrap();
    let report = consents::report(&mut conn, id).await.unwrap();
    assert_eq!(report.totals.values().sum::<usize>(), report.subscriptions.len());
    report.subscriptions.into_iter().map(|line| line.answer).collect()
}

/// What waits for this subscription's renewals.
pub(crate) async fn waiting(world: &World, id: Uuid) -> Vec<PlanChange> {
    let mut conn = world.pool.acquire().await.unwrap();
    plan_changes::pending_of(&mut conn, &[id]).await.unwrap()
}

/// The date and amount of the only thing that waits for this subscription's renewals.
pub(crate) async fn reached(world: &World, id: Uuid) -> Option<(String, i32)> {
    let waiting = waiting(world, id).await;
    assert!(waiting.len() < 2, "{waiting:?}");
    waiting.first().map(|change| (change.effective_on.to_string(), change.to.amount.get()))
}
