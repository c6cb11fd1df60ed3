//! `select * from jobs` tells the story of a failed charge without joining anything.

use common::{domain::calendar::Cycle, id::subscription_ref};
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../migrations")]
async fn the_failed_tries_of_a_charge_say_what_for_whom_why_and_when_next(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-28").await;

    let rows: Vec<(String, i32, String, String, Option<String>)> = sqlx::query_as(
        "select state, attempt, subject->>'subscription', last_error,
                to_char(next_run_at at time zone 'Asia/Seoul', 'YYYY-MM-DD HH24:MI')
           from jobs where kind = 'charge-subscription' order by id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();

    let story: Vec<_> =
        rows.iter().map(|(state, attempt, _, _, next)| (state.as_str(), *attempt, next.as_deref())).collect();
    assert_eq!(
        story,
        [
            ("failed", 1, Some("2026-12-25 02:00")),
            ("failed", 2, Some("2026-12-28 02:00")),
            ("failed", 3, None)
        ]
    );
    assert!(rows.iter().all(|row| row.2 == subscription_ref(id)));
    assert!(
        rows[0].3.contains("declined (1 of 3): REJECT_CARD_PAYMENT 한도초과 혹은 잔액부족"),
        "{}",
        rows[0].3
    );
    assert!(rows[0].3.contains("next try 2026-12-25 02:00 KST"), "{}", rows[0].3);
    assert!(rows[2].3.contains("suspended"), "{}", rows[2].3);
    assert_eq!(world.net(id).await, 9_900);
}
