//! E-mails over a real SMTP conversation: at least once, recognisable, given up only when refused for good.

use std::os::unix::process::ExitStatusExt;

use chrono::TimeDelta;
use rustix::process::Signal;
use sqlx::PgPool;

use crate::{books::Books, program::Program, smtp_server::MailServer, system::System, wait::until};

fn worker(system: &System, mail: &MailServer) -> Program {
    system.worker().var("MAIL_URL", mail.url())
}

/// Status and error of the only e-mail.
async fn row(system: &System) -> (String, Option<String>) {
    sqlx::query_as("select status, last_error from emails").fetch_one(&system.pool).await.unwrap()
}

/// Why the e-mail's job waits, if it does.
async fn waits_because(system: &System) -> Option<String> {
    let waiting: Option<Option<String>> = sqlx::query_scalar(
        "select note from jobs where kind = 'send-email' and state = 'available' and run_at > $1",
    )
    .bind(system.now())
    .fetch_optional(&system.pool)
    .await
    .unwrap();
    waiting.flatten()
}

async fn assert_paid_once(system: &System, id: uuid::Uuid) {
    assert_eq!(system.books(id).await, Books { letters: vec![], ..Books::paid(1) });
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_sent_twice_by_a_killed_worker_has_the_same_message_id(pool: PgPool) {
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
async fn an_email_refused_for_good_fails_and_says_why(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.refuse(Some("550 no such mailbox"));
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
    assert_eq!((mail.refused(), mail.messages().len()), (1, 0));
    assert_paid_once(&system, id).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_waits_for_a_mail_server_that_is_busy_or_away_and_goes_out_when_it_is_back(pool: PgPool) {
    let (system, mut mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.refuse(Some("451 come back later"));
    let id = system.order("ORDER_1").await;
    let _worker = worker(&system, &mail).start();
    let why = until("the busy server", async || waits_because(&system).await).await;
    assert!(why.contains("come back later"), "{why}");

    mail.go_away().await;
    system.advance(TimeDelta::minutes(1)).await;
    let why = until("the closed port", async || {
        waits_because(&system).await.filter(|why| !why.contains("come back later"))
    })
    .await;
    assert!(why.contains("the mail server is away"), "{why}");
    assert_eq!(row(&system).await, ("queued".to_owned(), None));

    mail.refuse(None);
    mail.come_back().await;
    let step = TimeDelta::minutes(10);
    system.live_until("the letter", step, async || row(&system).await.0 == "sent").await;
    let subjects: Vec<String> = mail.messages().into_iter().map(|(_, subject)| subject).collect();
    assert_eq!(subjects, ["집체크 구독 결제 완료"]);
    assert_paid_once(&system, id).await;
}
