//! `billing doctor` and its neighbours: each seeded fault is found by its code, with what to do.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use common::clock::ClockKind;
use common::domain::subscription::Subscription;
use common::email::RenderedEmail;
use common::outbox;
use common::outbox::Fact;
use common::store::{emails, settings};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use crate::program::{billing, url};
use crate::seed::{active_subscription, held_invoice, start};

/// Level of each finding by its code; a code may be found more than once.
async fn examine(database: &str, env: &[(&str, &str)]) -> BTreeMap<String, String> {
    let output = billing(Some(database), env, &["doctor", "--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {} {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let findings = report["findings"].as_array().unwrap();
    let has_fault = findings.iter().any(|finding| finding["level"] == "fault");
    assert_eq!(output.status.code(), Some(i32::from(has_fault)));
    for finding in findings.iter().filter(|finding| finding["level"] != "ok") {
        assert!(!finding["mend"].as_str().unwrap().is_empty(), "{finding}");
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(&finding["code"]), text(&finding["level"]))).collect()
}

fn assert_level(found: &BTreeMap<String, String>, level: &str, codes: &[&str]) {
    for code in codes {
        assert_eq!(found.get(*code).map(String::as_str), Some(level), "{code}: {found:?}");
    }
}

#[sqlx::test]
async fn a_database_that_cannot_serve_is_named(pool: PgPool) {
    let nowhere = "postgres://user:secret@127.0.0.1:1/x";
    assert_level(&examine(nowhere, &[]).await, "fault", &["database_unavailable"]);
    assert_level(&examine(&url(&pool), &[]).await, "fault", &["schema_behind"]);

    assert_eq!(billing(Some(&url(&pool)), &[], &["migrate"]).await.status.code(), Some(0));
    let found = examine(&url(&pool), &[]).await;
    assert_level(
        &found,
        "ok",
        &["database", "clock_skew", "instance", "jobs_parked", "scan_missing", "mail"],
    );
    assert_level(&found, "warning", &["configuration"]);
    let (url_of_pool, option) = (url(&pool), "options=-c%20lock_timeout%3D0");
    let pooled = format!("{url_of_pool}{}{option}", if url_of_pool.contains('?') { '&' } else { '?' });
    assert_level(&examine(&pooled, &[]).await, "fault", &["pooler"]);

    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&pool).await.unwrap();
    let sql = format!(r#"alter database "{name}" set default_transaction_read_only = on"#);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    assert_level(&examine(&url(&pool), &[]).await, "fault", &["database_read_only"]);
}

async fn write_email(conn: &mut PgConnection, to: &Subscription, step: &str) -> uuid::Uuid {
    let text = || "본문".to_owned();
    let rendered =
        RenderedEmail { subject: text(), html: text(), text: text(), domain: "zip.example".to_owned() };
    let fact = Fact { kind: "payment_succeeded", period_no: 0, step };
    assert!(outbox::post(conn, to, fact, &rendered, None, start()).await.unwrap());
    let sql = "select id from emails order by created_at desc, id desc limit 1";
    sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_for_a_person_is_named(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let now = ops::system_time::system_now(&mut conn).await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    held_invoice(&mut conn, &subscription, 1).await;
    write_email(&mut conn, &subscription, "1").await;
    let failed = write_email(&mut conn, &subscription, "2").await;
    let end = emails::EmailEnd::Failed;
    emails::settle(&mut conn, failed, end, Some("550 no such mailbox"), now).await.unwrap();
    settings::switch_charging(&mut conn, false, "operator:kim", "audit", now).await.unwrap();
    settings::join_clock(&mut conn, ClockKind::Test).await.unwrap();
    settings::move_clock(&mut conn, TimeDelta::hours(2).num_milliseconds()).await.unwrap();
    for sql in [
        "insert into settings (name, value) values ('instance', '{\"id\": \"production\", \"merchant\": \"m\"}')",
        "update gateway_breaker set failures = 12, open_until = clock_timestamp() + interval '1 minute'",
        "insert into discrepancies (id, date, kind, reference, first_seen_at, last_seen_at)
         values (gen_random_uuid(), '2026-11-22', 'unknown_capture', 'tx', clock_timestamp(), clock_timestamp())",
        "insert into webhook_events_in (id, transmission_id, received_at, headers, body, state, note, handled_at)
         values (gen_random_uuid(), 't', clock_timestamp() + interval '1 day', '{}', '', 'failed', 'no', clock_timestamp())",
    ] {
        sqlx::query(sql).execute(&mut *conn).await.unwrap();
    }
    let env = [("INSTANCE_ID", "a copy"), ("MAIL_URL", "smtp://127.0.0.1:1"), ("CLOCK", "test")];
    let found = examine(&url(&pool), &env).await;
    assert_level(&found, "warning", &["charging_off", "test_clock"]);
    let faults = [
        "mail",
        "instance",
        "gateway_failing",
        "jobs_late",
        "invoices_held",
        "emails_waiting",
        "emails_failed",
        "webhooks_failed",
        "discrepancies_open",
        "scan_missing",
    ];
    assert_level(&found, "fault", &faults);

    sqlx::query("update jobs set state = 'parked' where state = 'available'")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_level(&examine(&url(&pool), &env).await, "fault", &["jobs_parked"]);
}

#[tokio::test]
async fn every_mistake_of_both_programs_is_listed_at_once() {
    let env = [("CLOCK", "sundial"), ("MAIL_URL", "pigeon://loft"), ("CONFIRM_WAIT_SECS", "soon")];
    let output = billing(None, &env, &["config", "check", "--json"]).await;
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mistakes = report["mistakes"].as_array().unwrap();
    let programs = |variable: &str| {
        let of = mistakes.iter().find(|mistake| mistake["message"].as_str().unwrap().starts_with(variable));
        of.unwrap_or_else(|| panic!("{variable}: {mistakes:?}"))["programs"].clone()
    };
    assert_eq!(programs("DATABASE_URL"), json!(["billing-api", "billing-worker"]));
    assert_eq!(programs("CLOCK"), json!(["billing-api", "billing-worker"]));
    assert_eq!(programs("CONFIRM_WAIT_SECS"), json!(["billing-api"]));
    for variable in ["MAIL_URL", "TOSS_SECRET_KEY", "BILLING_KEY_ENCRYPTION_KEYS"] {
        assert_eq!(programs(variable), json!(["billing-worker"]));
    }
}

#[tokio::test]
async fn a_container_can_ask_for_its_health_without_a_shell() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = tokio::spawn(async move {
        for answer in ["HTTP/1.1 200 OK\r\n\r\nready", "HTTP/1.1 503 Service Unavailable\r\n\r\nread-only"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Read first: a connection that is closed with unread bytes is reset.
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
        }
    });
    let ready = format!("http://{address}/readyz");
    assert_eq!(billing(None, &[], &["healthcheck", &ready]).await.status.code(), Some(0));
    let unready = billing(None, &[], &["healthcheck", &ready]).await;
    assert_eq!(unready.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unready.stderr).contains("503: read-only"));
    answers.await.unwrap();
    assert_eq!(
        billing(None, &[], &["healthcheck", "http://127.0.0.1:1/readyz"]).await.status.code(),
        Some(1)
    );
    assert_eq!(billing(None, &[], &["healthcheck", "ftp://x"]).await.status.code(), Some(2));
}
