//! E-mails over a real SMTP conversation: at least once, recognisable, ended only by a word about the e-mail itself.

use std::os::unix::process::ExitStatusExt;

use chrono::TimeDelta;
use rustix::process::Signal;
use serde_json::Value;
use sqlx::PgPool;
use testing::{free_address, until};

use crate::{books::Books, program::Program, smtp_server::MailServer, system::System};

const WRITTEN: &str = "집체크 구독 결제 완료";

fn worker(system: &System, mail: &MailServer) -> Program {
    system.worker().var("MAIL_URL", mail.url())
}

/// Status and error of the only e-mail.
async fn row(system: &System) -> (String, Option<String>) {
    sqlx::query_as("select status, last_error from emails").fetch_one(&system.pool).await.unwrap()
}

/// Why the e-mail waits, once it has been tried `attempts` times.
async fn waits_because(system: &System, attempts: i32) -> String {
    until("the e-mail to be put off", async || {
        sqlx::query_scalar(
            "select emails.last_error from emails join jobs on jobs.subject->>'email' = emails.id::text
              where emails.status = 'queued' and emails.attempts >= $1 and emails.next_try_at > $2
                and jobs.state = 'available' and jobs.run_at = emails.next_try_at",
        )
        .bind(attempts)
        .bind(system.now())
        .fetch_optional(&system.pool)
        .await
        .unwrap()
    })
    .await
}

async fn sent(system: &System) {
    let step = TimeDelta::minutes(10);
    system.live_until("the e-mail being sent", step, async || row(system).await.0 == "sent").await;
}

async fn assert_paid_once(system: &System, id: uuid::Uuid) {
    assert_eq!(system.books(id).await, Books { emails: vec![], ..Books::paid(1) });
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_sent_twice_by_a_kill_has_the_same_message_id(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    let id = system.order("ORDER_1").await;
    let mut doomed = worker(&system, &mail)
        .var("PUBLIC_URL", "https://zip.example")
        .var("FAILPOINTS", "after_mail=return")
        .start();
    assert_eq!(doomed.end().await.signal(), Some(Signal::KILL.as_raw()));
    system.leases_run_out().await;
    assert_eq!(mail.messages().len(), 1);
    assert_eq!(row(&system).await, ("queued".to_owned(), None));

    let _next = worker(&system, &mail).start();
    system.quiet().await;

    let sent = mail.messages();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    let kept: String =
        sqlx::query_scalar("select message_id from emails").fetch_one(&system.pool).await.unwrap();
    assert_eq!(sent[0].0, kept);
    assert!(kept.ends_with("@zip.example"), "{kept}");
    assert_eq!(row(&system).await, ("sent".to_owned(), None));
    assert_paid_once(&system, id).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refused_recipient_fails_and_is_sent_again_by_hand(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.answer("RCPT", Some("550 5.1.1 no such mailbox"));
    let id = system.order("ORDER_1").await;
    let _worker = worker(&system, &mail).start();
    system.quiet().await;
    for _ in 0..3 {
        system.advance(TimeDelta::hours(1)).await;
        system.quiet().await;
    }
    let (status, error) = row(&system).await;
    assert_eq!(status, "failed");
    assert!(error.unwrap().contains("no such mailbox"));
    assert_eq!((mail.count("RCPT"), mail.messages().len()), (1, 0));

    mail.answer("RCPT", None);
    mail.answer(".", Some("554 5.6.0 message content rejected"));
    let failed = emails(&system, &["list", "--status", "failed"]).await;
    let first = failed[0]["id"].as_str().unwrap();
    let again = emails(&system, &["resend", first, "--reason", "the mailbox is back"]).await;
    let second = again[0]["sentAs"].as_str().unwrap();
    let refused = until("the message to be refused", async || {
        let email = emails(&system, &["show", second]).await;
        (email["status"] == "failed").then_some(email)
    })
    .await;
    assert!(refused["lastError"].as_str().unwrap().contains("message content rejected"), "{refused}");

    mail.answer(".", None);
    emails(&system, &["resend", second]).await;
    until("the copy to arrive", async || (mail.messages().len() == 1).then_some(())).await;
    assert_ne!(mail.messages()[0].0, failed[0]["messageId"].as_str().unwrap(), "mailboxes drop known ids");
    assert_eq!(mail.messages()[0].1, WRITTEN);
    assert_paid_once(&system, id).await;
}

async fn emails(system: &System, words: &[&str]) -> Value {
    let billing = Program::named("billing").var("DATABASE_URL", system.database_url()).arg("emails");
    let billing = words.iter().fold(billing, |billing, word| billing.arg(word)).arg("--json");
    let output = billing.run().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn everything_that_is_not_about_the_email_waits(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.offer(&["AUTH PLAIN LOGIN"]);
    let troubles = [
        ("AUTH", "535 5.7.8 bad credentials"),
        ("MAIL", "550 5.7.1 sender not allowed"),
        ("CONNECT", "554 no service for you"),
        ("EHLO", "550 who are you"),
        ("RCPT", "554 5.7.1 relay access denied"),
        ("RCPT", "530 5.7.0 log in first"),
        ("RCPT", "451 4.7.1 greylisted"),
        ("DATA", "451 disk full"),
        (".", "452 4.2.2 mailbox full"),
    ];
    mail.answer(troubles[0].0, Some(troubles[0].1));
    let id = system.order("ORDER_1").await;
    let _worker = system.worker().var("MAIL_URL", mail.url_with_password()).start();
    for (attempts, (command, answer)) in (1..).zip(troubles) {
        if attempts > 1 {
            mail.answer(command, Some(answer));
            system.advance(TimeDelta::minutes(31)).await;
        }
        let why = waits_because(&system, attempts).await;
        let words = answer.split_once(' ').unwrap().1;
        assert!(
            why.contains(words.rsplit('.').next().unwrap().trim_start_matches(char::is_numeric)),
            "{why}"
        );
        mail.answer(command, None);
    }
    assert_eq!((mail.messages().len(), row(&system).await.0.as_str()), (0, "queued"));
    sent(&system).await;
    assert_eq!(mail.messages().len(), 1);
    assert_paid_once(&system, id).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_that_waits_for_an_hour_raises_an_alarm(pool: PgPool) {
    let (system, mut mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.go_away().await;
    let id = system.order("ORDER_1").await;
    let address = free_address();
    let _worker = worker(&system, &mail).var("WORKER_ADDR", address).start();
    let why = waits_because(&system, 1).await;
    assert!(why.contains("the mail server cannot be used"), "{why}");
    assert!(!alarms(address).await.contains("email_waiting"));

    system.advance(TimeDelta::minutes(61)).await;
    until("the alarm", async || alarms(address).await.contains("email_waiting").then_some(())).await;
    let waiting = emails(&system, &["list", "--waiting", "1h"]).await;
    assert_eq!(waiting[0]["status"], "queued");

    // An operator need not wait for the next try.
    mail.come_back().await;
    emails(&system, &["resend", waiting[0]["id"].as_str().unwrap()]).await;
    until("the e-mail", async || (row(&system).await.0 == "sent").then_some(())).await;
    assert_eq!(mail.messages().len(), 1);
    assert_paid_once(&system, id).await;
}

async fn alarms(worker: std::net::SocketAddr) -> String {
    let metrics = reqwest::get(format!("http://{worker}/metrics")).await.unwrap().text().await.unwrap();
    metrics.lines().filter(|line| line.starts_with("billing_alarms_total")).collect::<Vec<_>>().join("\n")
}

#[sqlx::test(migrations = "../migrations")]
async fn a_password_is_not_sent_without_the_tls_that_it_needs(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.offer(&["AUTH PLAIN LOGIN"]);
    system.order("ORDER_1").await;
    let secured = format!("{}?tls=required", mail.url_with_password());
    let _worker = system.worker().var("MAIL_URL", secured).start();
    let why = waits_because(&system, 1).await;
    assert!(why.contains("offers no STARTTLS"), "{why}");

    // A server that offers it and cannot do it.
    mail.offer(&["AUTH PLAIN LOGIN", "STARTTLS"]);
    mail.answer("STARTTLS", Some("454 TLS not available"));
    system.advance(TimeDelta::minutes(31)).await;
    let why = waits_because(&system, 2).await;
    assert!(why.contains("TLS not available"), "{why}");
    assert_eq!((mail.count("AUTH"), mail.count("MAIL")), (0, 0), "{:?}", mail.commands());
}

async fn order_to(system: &System, address: &str) {
    system.order("ORDER_1").await;
    sqlx::query("update subscriptions set customer_email = $1")
        .bind(address)
        .execute(&system.pool)
        .await
        .unwrap();
    sqlx::query("update users set email = $1").bind(address).execute(&system.pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_korean_domain_is_reached_and_a_local_part_fails_once(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    order_to(&system, "user@한글.kr").await;
    let _worker = worker(&system, &mail).start();
    sent(&system).await;
    assert_eq!(mail.count("RCPT TO:<user@xn--bj0bj06e.kr>"), 1, "{:?}", mail.commands());

    let first = emails(&system, &["list"]).await;
    sqlx::query("update users set email = '홍길동@example.com'").execute(&system.pool).await.unwrap();
    let again = emails(&system, &["resend", first[0]["id"].as_str().unwrap()]).await;
    let second = again[0]["sentAs"].as_str().unwrap();
    let failed = until("the local part to fail", async || {
        let email = emails(&system, &["show", second]).await;
        (email["status"] == "failed").then_some(email)
    })
    .await;
    assert!(failed["lastError"].as_str().unwrap().contains("SMTPUTF8"), "{failed}");

    mail.offer(&["SMTPUTF8"]);
    emails(&system, &["resend", second]).await;
    until("the server with SMTPUTF8", async || (mail.messages().len() == 2).then_some(())).await;
    assert_eq!(mail.count("RCPT TO:<홍길동@example.com>"), 1, "{:?}", mail.commands());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_brand_of_any_name_is_the_sender(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    system.order("ORDER_1").await;
    let _worker = worker(&system, &mail)
        .var("MAIL_FROM", "")
        .var("BRAND_NAME", "(주)집체크, \"Zip\" <Check>")
        .var("PUBLIC_URL", "https://집체크.kr")
        .start();
    sent(&system).await;
    let (name, address) = mail.sender();
    assert_eq!(name.as_deref(), Some("(주)집체크, \"Zip\" <Check>"));
    assert!(address.starts_with("billing@xn--"), "{address}");
}
