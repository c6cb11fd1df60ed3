//! Operators' one-time codes: of two logins at once with one code, one passes.

use common::commands::second_factor;
use common::commands::second_factor::SecondFactorError;
use common::domain::actor::Actor;
use common::domain::operator::Role;
use common::domain::totp::TotpSecret;
use common::id::new_key;
use common::seal::Sealer;
use common::store::{operator_totp, operators};
use e2e::subscribers::SEALING_KEYS;
use sqlx::PgPool;
use uuid::Uuid;

/// An operator with a second factor whose codes are all unused, its secret and its recovery codes.
async fn operator(pool: &PgPool, sealer: &Sealer) -> (Uuid, TotpSecret, Vec<String>) {
    let mut conn = pool.acquire().await.unwrap();
    let put = operators::put(&mut conn, new_key(), "kim@example.com", Some(Role::Admin), b"hash");
    let id = put.await.unwrap().id;
    let (secret, now) = (second_factor::new_secret().unwrap(), operator_totp::now(&mut conn).await.unwrap());
    let actor = Actor::command_line("kim@example.com", "root", None);
    let code = secret.code(now).unwrap();
    let codes =
        second_factor::turn_on(&mut conn, Some(sealer), (&actor, id), (&secret, &code), now).await.unwrap();
    sqlx::query("update operator_totp set last_step = 0").execute(&mut *conn).await.unwrap();
    (id, secret, codes)
}

/// Two logins at once, each in a transaction of its own: how many pass.
async fn passes(pool: &PgPool, sealer: &Sealer, id: Uuid, code: &str) -> usize {
    let login = || async {
        let mut tx = pool.begin().await.unwrap();
        let passed = second_factor::check(&mut tx, Some(sealer), id, code).await;
        match passed {
            Ok(()) => tx.commit().await.map(|()| true).unwrap(),
            Err(SecondFactorError::Wrong) => false,
            Err(error) => panic!("{error}"),
        }
    };
    let (first, second) = tokio::join!(login(), login());
    [first, second].into_iter().filter(|passed| *passed).count()
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_logins_with_one_code_one_passes(pool: PgPool) {
    let sealer = Sealer::parse(SEALING_KEYS).unwrap();
    let (id, secret, codes) = operator(&pool, &sealer).await;
    let now = operator_totp::now(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(passes(&pool, &sealer, id, &secret.code(now).unwrap()).await, 1);
    assert_eq!(passes(&pool, &sealer, id, &codes[0]).await, 1);
    // An older code that nobody used is no better.
    let before = secret.code(now - chrono::TimeDelta::seconds(30)).unwrap();
    assert_eq!(passes(&pool, &sealer, id, &before).await, 0);
}
