//! The operators' audit log: every command that changes something leaves one row, and a change that fails leaves none.

use chrono::TimeDelta;
use common::store::operator_actions::{ActionFilter, ActionRow};
use common::store::{operator_actions, subscriptions};
use ops::{customer, instance, plans};
use sqlx::PgPool;

use crate::import::{csv, import, row};
use crate::program::{billing, url};
use crate::seed::{active_subscription, author, start};

async fn rows(pool: &PgPool) -> Vec<ActionRow> {
    let mut conn = pool.acquire().await.unwrap();
    let mut rows = operator_actions::page(&mut conn, &ActionFilter::default(), 100).await.unwrap();
    rows.reverse();
    rows
}

#[sqlx::test(migrations = "../migrations")]
async fn each_command_that_changes_something_leaves_a_row(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let user = subscription.user_id.to_string();
    sqlx::query("insert into settings (name, value) values ('instance', '{\"id\": \"production\", \"merchant\": \"m\"}')")
        .execute(&mut *conn)
        .await
        .unwrap();
    let email = ["--email", "kim@example.com"];
    let commands: [(&str, Vec<&str>); 10] = [
        ("operator.add", [&["operator", "add"], &email[..]].concat()),
        ("operator.link", [&["operator", "link"], &email[..]].concat()),
        ("operator.disable", [&["operator", "disable"], &email[..]].concat()),
        ("plan.set", vec!["plans", "set", "pro", "--monthly", "21900"]),
        (
            "price_change.announce",
            vec!["plans", "reprice", "pro", "--monthly", "24900", "--from", "2098-02-01"],
        ),
        ("customer.set_email", vec!["customer", "set-email", &user, "new@example.com"]),
        ("charging.switch_off", vec!["charging", "off"]),
        ("instance.release", vec!["instance", "release"]),
        ("scan.start", vec!["scan"]),
        ("clock.advance", vec!["clock", "advance", "1d"]),
    ];
    for (action, words) in commands {
        let words = [&words[..], &["--reason", "a good reason", "--as", "kim@example.com"]].concat();
        let before = rows(&pool).await.len();
        let output = billing(Some(&url(&pool)), &[("USER", "root")], &words).await;
        assert!(output.status.success(), "{action}: {}", String::from_utf8_lossy(&output.stderr));
        let rows = rows(&pool).await;
        let row = rows.last().unwrap();
        assert_eq!((rows.len(), row.action.as_str()), (before + 1, action));
        assert_eq!((row.actor.as_str(), row.os_user.as_deref()), ("operator:kim@example.com", Some("root")));
        assert_eq!((row.reason.as_str(), row.channel.as_str()), ("a good reason", "command_line"));
        assert_ne!(row.before, row.after, "{action}");
        // An operator's own address is no customer's.
        let names_an_operator = action.starts_with("operator.") || action.starts_with("charging.");
        assert!(names_an_operator || !row.after.to_string().contains("example.com"), "{}", row.after);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_repeat_a_dry_run_and_a_refusal_leave_no_row(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let (user, now) = (subscription.user_id.to_string(), start() + TimeDelta::days(60));
    let kim = author("kim", now);
    customer::erase(&mut conn, &user, false, &kim).await.unwrap_err();
    plans::set(&mut conn, "nothing", plans::PlanChange::default(), &kim).await.unwrap_err();
    subscriptions::cancel(&mut conn, subscription.id, "이사", start()).await.unwrap();
    customer::erase(&mut conn, &user, true, &kim).await.unwrap();
    instance::release(&mut conn, &kim).await.unwrap();
    // As it is.
    plans::set(&mut conn, "pro", plans::PlanChange::default(), &kim).await.unwrap();
    assert!(rows(&pool).await.is_empty());
    for _ in 0..2 {
        customer::erase(&mut conn, &user, false, &kim).await.unwrap();
    }
    let actions: Vec<String> = rows(&pool).await.into_iter().map(|row| row.action).collect();
    assert_eq!(actions, ["customer.erase"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_import_leaves_a_row_for_what_it_brought(pool: PgPool) {
    let file = csv(&[row(1, "active", "2026-11-30"), row(2, "active", "2026-11-30")]);
    for _ in 0..2 {
        assert_eq!(import(&pool, &file, &["--apply"]).await.code, Some(0));
    }
    let rows = rows(&pool).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].action.as_str(), rows[0].target_kind.as_str()), ("import.batch", "import"));
    assert_eq!(rows[0].after["subscriptions"], 2);
}
