//! Reads the e-mails that went out, from the folder they went to.

use std::path::Path;

use common::domain::calendar::Cycle;
use mail_parser::MessageParser;
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;
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

#[sqlx::test(migrations = "../migrations")]
async fn an_unrecorded_email_is_recorded_with_the_next(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    for order in ["ORDER_1", "ORDER_2"] {
        world.subscriber_called(order, Cycle::Monthly).await;
    }
    let queued = "update emails set status = 'queued', settled_at = null returning id";
    let ids: Vec<Uuid> = sqlx::query_scalar(queued).fetch_all(&world.pool).await.unwrap();
    let away = PgPoolOptions::new().connect_lazy_with(world.pool.connect_options().as_ref().clone());
    away.close().await;
    let (batches, now) = (EmailBatches::default(), world.now());
    assert!(batches.record_sent(&away, ids[0], now).await.is_err());
    batches.record_sent(&world.pool, ids[1], now).await.unwrap();
    let recorded = "select count(*) from emails where status = 'sent' and settled_at = $1";
    let recorded: i64 = sqlx::query_scalar(recorded).bind(now).fetch_one(&world.pool).await.unwrap();
    assert_eq!(recorded, 2);
}
