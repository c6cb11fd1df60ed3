//! Reads the e-mails that went out, from the folder they went to.

use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use common::domain::calendar::Cycle;
use common::jobs::SendEmail;
use common::store;
use common::store::emails::SentEmail;
use mail_parser::MessageParser;
use sqlx::{PgPool, postgres::PgPoolOptions};
use worker::email_batches::EmailBatches;

use crate::world::World;

#[derive(Debug, Clone)]
pub(crate) struct ReceivedEmail {
    pub(crate) subject: String,
    pub(crate) text: String,
    sent_at: i64,
}

/// All e-mails in the folder, oldest first.
pub(crate) fn read_emails(folder: &Path) -> Vec<ReceivedEmail> {
    let mut emails: Vec<ReceivedEmail> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            (path.extension()? == "eml").then(|| read_letter(&path))
        })
        .collect();
    emails.sort_by_key(|email| email.sent_at);
    emails
}

fn read_letter(path: &Path) -> ReceivedEmail {
    let bytes = std::fs::read(path).unwrap();
    let message = MessageParser::default().parse(&bytes).unwrap();
    ReceivedEmail {
        subject: message.subject().unwrap().to_owned(),
        text: message.body_text(0).unwrap().into_owned(),
        sent_at: message.date().unwrap().to_timestamp(),
    }
}

/// Two e-mails that the mail server has taken and that are not on record, in the hands of a worker.
async fn taken(world: &World) -> Vec<SentEmail> {
    for order in ["ORDER_1", "ORDER_2"] {
        world.subscriber_called(order, Cycle::Monthly).await;
    }
    for again in [
        "update emails set status = 'queued', settled_at = null",
        "update jobs set state = 'available', finished_at = null where kind = 'send-email'",
    ] {
        sqlx::query(again).execute(&world.pool).await.unwrap();
    }
    let lease = Duration::from_mins(1);
    let claimed = queue::claim(&world.pool, &["send-email"], 2, lease, "worker", world.now()).await.unwrap();
    claimed.iter().map(sent_by).collect()
}

/// How many of them are on record, with the end of their jobs.
async fn recorded(world: &World, at: DateTime<Utc>) -> i64 {
    let recorded = "select count(*) from emails join jobs on jobs.about = emails.id
                     where emails.status = 'sent' and settled_at = $1 and jobs.state = 'done'";
    sqlx::query_scalar(recorded).bind(at).fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unrecorded_email_is_recorded_with_the_next(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (sent, now) = (taken(&world).await, world.now());
    let away = PgPoolOptions::new().connect_lazy_with(world.pool.connect_options().as_ref().clone());
    away.close().await;
    let batches = EmailBatches::default();
    assert!(batches.record_sent(&away, sent[0].clone(), now).await.is_err());
    assert!(batches.record_sent(&world.pool, sent[1].clone(), now).await.unwrap());
    assert_eq!(recorded(&world, now).await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_whose_row_is_locked_holds_up_no_other(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (sent, now) = (taken(&world).await, world.now());
    let mut holder = world.pool.begin().await.unwrap();
    let hold = sqlx::query("select from emails where id = $1 for update").bind(sent[0].id);
    hold.execute(&mut *holder).await.unwrap();
    // As in the worker: a statement waits for a lock no longer than 5 s.
    let limited = store::with_session(world.pool.connect_options().as_ref().clone());
    let limited = PgPoolOptions::new().connect_lazy_with(limited);
    let batches = EmailBatches::default();
    assert!(batches.record_sent(&limited, sent[0].clone(), now).await.is_err());
    assert!(batches.record_sent(&limited, sent[1].clone(), now).await.unwrap());
    assert_eq!(recorded(&world, now).await, 1);
    holder.rollback().await.unwrap();
    assert!(EmailBatches::default().record_sent(&limited, sent[0].clone(), now).await.unwrap());
    assert_eq!(recorded(&world, now).await, 2);
}

fn sent_by(job: &queue::Claimed) -> SentEmail {
    let args: SendEmail = serde_json::from_value(job.args.clone()).unwrap();
    SentEmail { id: args.email_id, lease: job.lease(), note: "sent".to_owned() }
}
