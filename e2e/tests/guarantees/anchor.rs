//! The day of the month that a customer began on is never lost.

use common::domain::calendar::Cycle;
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../migrations")]
async fn begun_on_january_31_it_is_charged_on_each_months_last_day(pool: PgPool) {
    let mut world = World::on(pool, "2027-01-31").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let mut dates = Vec::new();
    for _ in 0..5 {
        let due = world.history(id).await.next_charge_on();
        world.live_until(&due.to_string()).await;
        dates.push(due.to_string());
    }
    assert_eq!(dates, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30"]);
    assert_eq!(world.net(id).await, 6 * 9_900);
}
