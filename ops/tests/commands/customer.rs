//! Erasing a customer from the command line.

use chrono::TimeDelta;
use common::store::subscriptions;
use ops::{OpsError, customer, system_time};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::seed::{active_subscription, author, find, start};

const EMAIL: &str = "Hong@example.com";

/// Canceled, and its paid period is over at this instant.
async fn former(conn: &mut PgConnection) -> (Uuid, chrono::DateTime<chrono::Utc>) {
    let id = active_subscription(conn).await.id;
    subscriptions::cancel(conn, id, "이사", start()).await.unwrap();
    (id, start() + TimeDelta::days(60))
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dry_run_says_what_would_go_and_writes_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (id, later) = former(&mut conn).await;
    let would = customer::erase(&mut conn, EMAIL, true, &author("kim", later)).await.unwrap();
    assert!(would.to_string().contains("would be erased; nothing was written"), "{would}");
    assert_eq!(find(&mut conn, id).await.customer_email, "hong@example.com");

    let done = customer::erase(&mut conn, EMAIL, false, &author("kim", later)).await.unwrap();
    assert!(done.to_string().contains("1 billing keys are deleted at Toss"), "{done}");
    let json = serde_json::to_value(&done).unwrap();
    assert_eq!((&json["billingKeys"], &json["dryRun"]), (&1.into(), &false.into()));
    let subscription = find(&mut conn, id).await;
    assert_eq!(
        (subscription.sealed_billing_key, subscription.cancel_reason.as_deref()),
        (None, Some("(erased)"))
    );

    let user = subscription.user_id.to_string();
    let again = customer::erase(&mut conn, &user, false, &author("kim", later)).await.unwrap();
    assert!(again.to_string().contains("was erased before"), "{again}");
    let gone = customer::erase(&mut conn, EMAIL, false, &author("kim", later)).await.unwrap_err();
    assert!(matches!(gone, OpsError::NotFound(_)), "{gone}");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_who_still_subscribes_is_refused_and_twins_told_apart(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let now = system_time::system_now(&mut conn).await.unwrap();
    let first = active_subscription(&mut conn).await;
    let refused = customer::erase(&mut conn, EMAIL, false, &author("kim", now)).await.unwrap_err();
    assert!(refused.to_string().contains("billing subscription end"), "{refused}");
    active_subscription(&mut conn).await;
    let refused = customer::erase(&mut conn, EMAIL, false, &author("kim", now)).await.unwrap_err();
    assert!(refused.to_string().contains(&first.user_id.to_string()), "{refused}");
}
