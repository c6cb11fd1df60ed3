//! E-mails over TLS: a real handshake, and no password before it.

use common::domain::subscription::SubscriptionStatus;
use sqlx::PgPool;
use testing::until;

use crate::{smtp_server::MailServer, system::System};

/// A worker that trusts this certificate only, and the file that it reads it from.
fn trusting(
    system: &System,
    url: &str,
    certificate: &str,
) -> (crate::program::Program, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate).unwrap();
    (system.worker().var("MAIL_URL", url).var("SSL_CERT_FILE", file.path().display()), file)
}

async fn is_paid(system: &System, order: &str) {
    let id = system.order(order).await;
    until("the payment", async || system.is(id, SubscriptionStatus::Active).await.then_some(())).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_password_goes_to_a_trusted_server_over_tls_only(pool: PgPool) {
    for (n, is_implicit) in [false, true].into_iter().enumerate() {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let (system, mail) = (System::on(pool.clone(), "2026-11-22").await, MailServer::start().await);
        mail.offer(&["STARTTLS", "AUTH PLAIN LOGIN"]);
        let certificate = mail.speak_tls(is_implicit);
        let url = if is_implicit {
            format!("smtps://user:secret@{}", mail.address())
        } else {
            format!("smtp://user:secret@{}?tls=required", mail.address())
        };
        let (worker, _file) = trusting(&system, &url, &certificate);
        let _worker = worker.start();
        is_paid(&system, &format!("ORDER_{n}")).await;
        until("the e-mail", async || (mail.messages().len() == 1).then_some(())).await;
        assert_eq!(mail.count("AUTH"), 1);
        let plain = if is_implicit { vec![] } else { vec!["EHLO".to_owned(), "STARTTLS".to_owned()] };
        assert_eq!(mail.plain_commands(), plain);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_server_that_nobody_vouches_for_gets_no_password(pool: PgPool) {
    let (system, mail) = (System::on(pool, "2026-11-22").await, MailServer::start().await);
    mail.offer(&["STARTTLS", "AUTH PLAIN LOGIN"]);
    mail.speak_tls(false);
    let stranger = MailServer::start().await.speak_tls(false);
    let url = format!("smtp://user:secret@{}?tls=required", mail.address());
    let (worker, _file) = trusting(&system, &url, &stranger);
    let _worker = worker.start();
    is_paid(&system, "ORDER_1").await;
    let why = until("the e-mail to be put off", async || {
        let waiting = "select last_error from emails where status = 'queued' and attempts > 0";
        sqlx::query_scalar::<_, String>(waiting).fetch_optional(&system.pool).await.unwrap()
    })
    .await;
    assert!(why.contains("STARTTLS") && why.contains("certificate"), "{why}");
    assert_eq!((mail.count("AUTH"), mail.messages().len()), (0, 0));
}
