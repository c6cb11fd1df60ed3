//! E-mails: found, read, and sent again.

use chrono::TimeDelta;
use common::commands::erase_customer::erase_customer;
use common::domain::subscription::Subscription;
use common::email::RenderedEmail;
use common::outbox;
use common::outbox::Fact;
use common::store::emails::{EmailEnd, EmailStatus};
use common::store::{emails as rows, events, subscriptions};
use ops::emails::EmailsWanted;
use ops::{OpsError, customer, emails};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::seed::{acting, active_subscription, author, reason, start};

/// Writes an e-mail of this kind; answers its id.
async fn written(conn: &mut PgConnection, to: &Subscription, kind: &str) -> Uuid {
    let rendered = RenderedEmail {
        subject: "집체크 구독 결제 완료".into(),
        html: "<p>본문</p>".into(),
        text: "본문".into(),
        domain: "zip.example".into(),
    };
    let fact = Fact { kind, period_no: 0, step: "1" };
    let before = start() + TimeDelta::days(3);
    assert!(outbox::post(conn, to, fact, &rendered, Some(before), start()).await.unwrap());
    let wanted = EmailsWanted { limit: 10, ..EmailsWanted::default() };
    emails::list(conn, &wanted, start()).await.unwrap().0[0].id
}

async fn queued_jobs(conn: &mut PgConnection, email: Uuid) -> Vec<(String, chrono::DateTime<chrono::Utc>)> {
    let sql = "select state, run_at from jobs where subject->>'email' = $1 order by id";
    sqlx::query_as(sql).bind(email.to_string()).fetch_all(conn).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_email_goes_out_again_to_the_newest_address(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = written(&mut conn, &subscription, "payment_succeeded").await;
    rows::settle(&mut conn, id, EmailEnd::Failed, Some("550 no such mailbox"), start()).await.unwrap();
    let failed = EmailsWanted { status: Some(EmailStatus::Failed), limit: 10, ..EmailsWanted::default() };
    let listed = emails::list(&mut conn, &failed, start()).await.unwrap();
    assert!(listed.to_string().contains("550 no such mailbox"), "{listed}");

    let (user, later) = (subscription.user_id, start() + TimeDelta::days(9));
    customer::set_email(&mut conn, user, "new@example.com", &author("kim", later)).await.unwrap();
    let resent =
        emails::resend(&mut conn, &[id], &reason("new address"), &acting("kim", later)).await.unwrap();
    let copy = emails::show(&mut conn, resent.0[0].sent_as).await.unwrap();
    assert_eq!((copy.email.to.as_str(), copy.email.resend_of), ("new@example.com", Some(id)));
    assert_eq!((copy.text.as_str(), copy.email.send_before), ("본문", None));
    let first = emails::show(&mut conn, id).await.unwrap();
    assert_ne!(copy.email.message_id, first.email.message_id);
    assert!(copy.email.message_id.ends_with("@zip.example"));
    assert_eq!(queued_jobs(&mut conn, copy.email.id).await, [("available".to_owned(), later)]);

    let audit = events::of_subscription(&mut conn, subscription.id).await.unwrap();
    let last = audit.last().unwrap();
    assert_eq!((last.actor.as_str(), last.what.as_str()), ("operator:kim", "email.resent"));
    assert!(last.why.contains("new address") && last.why.contains(&id.to_string()), "{}", last.why);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_waiting_email_is_tried_now_and_not_doubled(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = written(&mut conn, &subscription, "payment_succeeded").await;
    let next = start() + TimeDelta::minutes(30);
    rows::postpone(&mut conn, id, "535 bad credentials", next).await.unwrap();
    sqlx::query("update jobs set run_at = $1, due_at = $1 where kind = 'send-email'")
        .bind(next)
        .execute(&mut *conn)
        .await
        .unwrap();

    let soon = start() + TimeDelta::minutes(5);
    let waiting = EmailsWanted { waiting: Some(TimeDelta::minutes(1)), limit: 10, ..EmailsWanted::default() };
    assert_eq!(emails::list(&mut conn, &waiting, soon).await.unwrap().0[0].next_try_at, Some(next));
    let longer = EmailsWanted { waiting: Some(TimeDelta::hours(1)), ..waiting };
    assert!(emails::list(&mut conn, &longer, soon).await.unwrap().0.is_empty());

    let resent = emails::resend(&mut conn, &[id], &reason("mended"), &acting("kim", soon)).await.unwrap();
    assert_eq!(resent.0[0].sent_as, id);
    assert_eq!(queued_jobs(&mut conn, id).await, [("available".to_owned(), soon)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_of_an_erased_customer_stays_unsent(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = written(&mut conn, &subscription, "payment_succeeded").await;
    subscriptions::cancel(&mut conn, subscription.id, "이사", start()).await.unwrap();
    let later = start() + TimeDelta::days(60);
    erase_customer(&mut conn, subscription.user_id, "operator:kim", later).await.unwrap();
    let refused =
        emails::resend(&mut conn, &[id], &reason("again"), &acting("kim", later)).await.unwrap_err();
    assert!(matches!(refused, OpsError::Refused(_)), "{refused}");
    let missing =
        emails::resend(&mut conn, &[Uuid::nil()], &reason("again"), &acting("kim", later)).await.unwrap_err();
    assert_eq!((missing.exit_code(), missing.code()), (1, "not_found"));
}
