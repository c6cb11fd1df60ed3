//! What a new installation runs first: the schema and an operator.

use common::domain::operator::Role;
use ops::operator::{Console, NewOperator};
use ops::{OpsError, migrate, operator};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};

use crate::seed::{author, start};

#[sqlx::test]
async fn migrate_says_what_it_applied_and_then_that_nothing_is_left(pool: PgPool) {
    let first = migrate::migrate(&pool).await.unwrap();
    assert_eq!(first.applied[0].version, 1);
    assert!(first.to_string().starts_with("applied 0001 jobs\n"), "{first}");
    let second = migrate::migrate(&pool).await.unwrap();
    assert_eq!(second.to_string(), "the schema is up to date; nothing to apply\n");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operators_token_is_random_and_only_its_hash_is_kept(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let first =
        operator::add(&mut conn, new("Kim@Example.com", None), &author("kim", start())).await.unwrap();
    let token = first.token.expose_secret();
    assert!(token.starts_with("op_") && token.len() == 46, "{token}");
    assert_eq!(first.email, "kim@example.com");
    assert_eq!(hashes(&pool).await, [Sha256::digest(token.as_bytes()).to_vec()]);

    let second =
        operator::add(&mut conn, new("kim@example.com", None), &author("kim", start())).await.unwrap();
    assert_ne!(token, second.token.expose_secret());
    assert_eq!(hashes(&pool).await, [Sha256::digest(second.token.expose_secret().as_bytes()).to_vec()]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_given_token_is_taken_unless_guessable_or_anothers(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let long = SecretString::from("t".repeat(32));
    let added = operator::add(&mut conn, new("kim@example.com", Some(long.clone())), &author("kim", start()))
        .await
        .unwrap();
    assert_eq!(added.token.expose_secret(), long.expose_secret());
    let short = SecretString::from("t".repeat(31));
    let refused = operator::add(&mut conn, new("lee@example.com", Some(short)), &author("kim", start()))
        .await
        .unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    let taken = operator::add(&mut conn, new("lee@example.com", Some(long)), &author("kim", start()))
        .await
        .unwrap_err();
    assert!(matches!(taken, OpsError::Refused(_)), "{taken}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_made_meanwhile_is_left_as_it_is(pool: PgPool) {
    let (mut conn, mut other) = (pool.acquire().await.unwrap(), pool.begin().await.unwrap());
    let insert =
        "insert into operators (id, email, token_hash) values (gen_random_uuid(), 'kim@example.com', 'a')";
    sqlx::query(insert).execute(&mut *other).await.unwrap();
    let kim = author("kim", start());
    let adding = operator::add(&mut conn, new("kim@example.com", None), &kim);
    let commit = async {
        let waits = "select exists (select from pg_stat_activity
                                     where datname = current_database() and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.unwrap() {}
        other.commit().await.unwrap();
    };
    let (added, ()) = tokio::join!(adding, commit);
    let refused = added.unwrap_err();
    assert!(refused.to_string().contains("run it again"), "{refused}");
    assert_eq!(hashes(&pool).await, [b"a".to_vec()]);
    operator::add(&mut conn, new("kim@example.com", None), &kim).await.unwrap();
    let on_record: i64 =
        sqlx::query_scalar("select count(*) from operator_actions").fetch_one(&pool).await.unwrap();
    assert_eq!(on_record, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_role_stays_until_another_is_given(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let with = |role| NewOperator { role, ..new("kim@example.com", None) };
    for (given, role) in [
        (None, Role::Operator),
        (Some(Role::Admin), Role::Admin),
        (None, Role::Admin),
        (Some(Role::Viewer), Role::Viewer),
    ] {
        assert_eq!(operator::add(&mut conn, with(given), &author("kim", start())).await.unwrap().role, role);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_disabled_operator_keeps_nothing_that_lets_them_in(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    operator::add(&mut conn, new("kim@example.com", None), &author("kim", start())).await.unwrap();
    operator::disable(&mut conn, "Kim@Example.com", &author("kim", start())).await.unwrap();
    let row = operator::list(&mut conn).await.unwrap().0.remove(0);
    assert!(row.disabled_at.is_some() && !row.has_token && !row.has_password);
    let refused =
        operator::link(&mut conn, "kim@example.com", &console(), &author("kim", start())).await.unwrap_err();
    assert!(matches!(refused, OpsError::NotFound(_)), "{refused}");
    operator::add(&mut conn, new("kim@example.com", None), &author("kim", start())).await.unwrap();
    operator::link(&mut conn, "kim@example.com", &console(), &author("kim", start())).await.unwrap();
}

fn console() -> Console {
    Console { console_url: "https://billing.example".parse().unwrap() }
}

fn new(email: &str, token: Option<SecretString>) -> NewOperator {
    NewOperator { email: email.to_owned(), role: None, token, console: console() }
}

async fn hashes(pool: &PgPool) -> Vec<Vec<u8>> {
    let rows = sqlx::query("select token_hash from operators").fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.get("token_hash")).collect()
}
