//! The kill switches: what they stop, what they write, and that turning one twice writes nothing.

use common::commands::dry_run::dry_run;
use common::domain::calendar::seoul_date;
use common::store::{events, settings};
use ops::{OpsError, charging, subscription};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::seed::{acting, active_subscription, long_after, reason, start};

async fn due(conn: &mut PgConnection) -> usize {
    let lines = dry_run(conn, seoul_date(long_after())).await.unwrap();
    lines.iter().filter(|line| line.not_charged.is_none()).count()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paused_one_is_left_out_until_charging_goes_on(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    assert_eq!(due(&mut conn).await, 1);

    assert!(
        subscription::pause(&mut conn, id, &reason("dispute"), &acting("kim", start()))
            .await
            .unwrap()
            .changed
    );
    assert_eq!(due(&mut conn).await, 0);
    let again =
        subscription::pause(&mut conn, id, &reason("dispute"), &acting("kim", long_after())).await.unwrap();
    assert_eq!((again.changed, again.paused_at), (false, Some(start())));

    let resumed =
        subscription::resume(&mut conn, id, &reason("settled"), &acting("lee", long_after())).await.unwrap();
    assert_eq!((resumed.changed, resumed.paused_at), (true, None));
    assert_eq!(due(&mut conn).await, 1);

    let events = events::of_subscription(&mut conn, id).await.unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.actor.as_str(), e.what.as_str(), e.why.as_str())).collect();
    let expected =
        [("operator:kim", "charging.paused", "dispute"), ("operator:lee", "charging.resumed", "settled")];
    assert_eq!(told, expected);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_switch_over_all_charges_keeps_who_turned_it_and_why(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(charging::status(&mut conn).await.unwrap().to_string(), "charging is on\n");
    let off =
        charging::switch(&mut conn, false, &reason("wrong prices"), &acting("kim", start())).await.unwrap();
    insta::assert_snapshot!(off, @r"
    charging is OFF: no new charge begins
    since 2026-11-22 09:00:00 by operator:kim: wrong prices
    ");
    assert!(!settings::charging_enabled(&mut conn).await.unwrap());
    charging::switch(&mut conn, true, &reason("mended"), &acting("kim", start())).await.unwrap();
    assert!(settings::charging_enabled(&mut conn).await.unwrap());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_that_is_not_there_cannot_be_paused(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let missing = subscription::pause(&mut conn, Uuid::nil(), &reason("dispute"), &acting("kim", start()))
        .await
        .unwrap_err();
    assert!(matches!(missing, OpsError::NotFound(_)), "{missing}");
}
