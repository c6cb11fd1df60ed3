//! The program itself: exit codes, one clear line on standard error, JSON on standard output.

use std::process::{Command, Output};

use common::{id::subscription_ref, store::subscriptions};
use serde_json::Value;
use sqlx::{ConnectOptions, PgPool};

use crate::seed::{active_subscription, start};

pub(crate) async fn billing(database: Option<&str>, env: &[(&str, &str)], words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_billing"));
    command.env_clear().args(words).envs(env.iter().copied());
    command.envs(database.map(|url| ("DATABASE_URL", url)));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) fn url(pool: &PgPool) -> String {
    pool.connect_options().to_url_lossy().to_string()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[tokio::test]
async fn without_a_database_url_it_says_so_and_exits_2() {
    let (code, line) = said(&billing(None, &[], &["plans", "list"]).await);
    assert_eq!(code, Some(2));
    assert!(line.contains("DATABASE_URL is not set"), "{line}");
}

#[tokio::test]
async fn with_the_database_away_it_says_where_in_one_line_and_exits_1() {
    let nowhere = Some("postgres://user:secret@127.0.0.1:1/x");
    let (code, line) = said(&billing(nowhere, &[], &["jobs", "list"]).await);
    assert_eq!((code, line.lines().count()), (Some(1), 1), "{line}");
    assert!(line.contains("the database at 127.0.0.1:1 does not answer"), "{line}");
    assert!(!line.contains("secret"), "{line}");
}

#[sqlx::test]
async fn before_the_schema_is_made_it_says_how_to_make_it(pool: PgPool) {
    let (code, line) = said(&billing(Some(&url(&pool)), &[], &["plans", "list"]).await);
    assert_eq!(code, Some(1));
    assert!(line.contains("run `billing migrate`"), "{line}");
    assert_eq!(billing(Some(&url(&pool)), &[], &["migrate"]).await.status.code(), Some(0));
    assert_eq!(billing(Some(&url(&pool)), &[], &["plans", "list"]).await.status.code(), Some(0));
}

#[sqlx::test(migrations = "../migrations")]
async fn json_stands_alone_on_standard_output(pool: PgPool) {
    let output =
        billing(Some(&url(&pool)), &[], &["operator", "add", "--email", "kim@example.com", "--json"]).await;
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(added["email"], "kim@example.com");
    assert!(added["token"].as_str().unwrap().starts_with("op_"));
    assert!(output.stderr.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_found_exits_1_and_what_is_wrongly_asked_exits_2(pool: PgPool) {
    let ask = async |words: &[&str]| billing(Some(&url(&pool)), &[], words).await.status.code();
    assert_eq!(ask(&["jobs", "show", "4711"]).await, Some(1));
    assert_eq!(ask(&["jobs", "show", "x"]).await, Some(2));
    assert_eq!(ask(&["plans", "set", "pro", "--monthly", "99"]).await, Some(2));
    assert_eq!(ask(&["subscription", "show", "sub_123"]).await, Some(2));
    assert_eq!(ask(&["clock", "advance", "31"]).await, Some(2));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_clock_does_not_move_beside_a_live_key(pool: PgPool) {
    let live = [("TOSS_SECRET_KEY", "live_sk_x")];
    let (code, line) = said(&billing(Some(&url(&pool)), &live, &["clock", "advance", "31d"]).await);
    assert_eq!(code, Some(2));
    assert!(line.contains("TOSS_SECRET_KEY"), "{line}");
    let now = billing(Some(&url(&pool)), &live, &["clock", "now", "--json"]).await;
    let stand: Value = serde_json::from_slice(&now.stdout).unwrap();
    assert_eq!(stand["moves"], 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn direction_marks_are_shown_as_a_replacement(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    subscriptions::cancel(&mut conn, id, "a\u{202e}b", start()).await.unwrap();
    let reason = "why\u{2066}not";
    for words in [
        &["subscription", "show", &subscription_ref(id)][..],
        &["charging", "off", "--reason", reason],
        &["subscription", "pause", &subscription_ref(id), "--reason", reason, "--as", "k\u{200f}im"],
        &["subscription", "show", &subscription_ref(id)],
        &["jobs", "show", "1\u{202e}"],
    ] {
        let output = billing(Some(&url(&pool)), &[], words).await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200f}']), "{words:?}: {text}");
    }
}

/// Standard output stays empty; standard error is one object.
async fn refused_as_json(database: Option<&str>, words: &[&str]) -> (Option<i32>, String, String) {
    let output = billing(database, &[], &[words, &["--json"]].concat()).await;
    assert!(output.stdout.is_empty(), "{words:?}");
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    let text = |name: &str| told["error"][name].as_str().unwrap().to_owned();
    (output.status.code(), text("code"), text("message"))
}

#[sqlx::test]
async fn a_failure_is_one_json_object_where_json_was_asked_for(pool: PgPool) {
    let (database, id) = (url(&pool), "sub_0192f0c1a2b37c4d8e5f60718293a4b5");
    let failed = async |words: &[&str]| {
        let (exit, code, message) = refused_as_json(Some(&database), words).await;
        assert!(!message.is_empty() && !message.starts_with("error"), "{message}");
        (exit, code)
    };
    let told = |exit, code: &str| (Some(exit), code.to_owned());
    assert_eq!(failed(&["plans", "list"]).await, told(1, "schema_missing"));
    assert_eq!(billing(Some(&database), &[], &["migrate"]).await.status.code(), Some(0));
    assert_eq!(failed(&["jobs", "show", "4711"]).await, told(1, "not_found"));
    assert_eq!(failed(&["subscription", "show", id]).await, told(1, "not_found"));
    assert_eq!(failed(&["clock", "set", "2020-01-01T09:00:00+09:00"]).await, told(1, "refused"));
    assert_eq!(failed(&["jobs", "show", "x"]).await, told(2, "usage"));
    assert_eq!(failed(&["plans", "set", "pro", "--monthly", "99"]).await, told(2, "usage"));
    assert_eq!(failed(&["no-such-command"]).await, told(2, "usage"));

    let (exit, code, message) = refused_as_json(None, &["plans", "list"]).await;
    assert_eq!((exit, code.as_str()), (Some(2), "configuration"));
    assert!(message.contains("DATABASE_URL"), "{message}");
    let nowhere = Some("postgres://user:secret@127.0.0.1:1/x");
    assert_eq!(refused_as_json(nowhere, &["jobs", "list"]).await.1, "database_away");
    let help = billing(None, &[], &["--help", "--json"]).await;
    assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
}
