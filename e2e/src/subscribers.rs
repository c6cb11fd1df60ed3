//! Writes many active subscriptions at once, as if their first payments were long past.

use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, NaiveDate, Utc};
use common::domain::calendar::{Cycle, seoul_midnight};
use common::id::new_key;
use common::seal::Sealer;
use secrecy::SecretString;
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bank::Bank;

/// 32 bytes, base64.
pub const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// What the personal plan costs a month, in won.
pub const PRICE: i32 = 9_900;

const BATCH: usize = 10_000;
const REGISTRATIONS_AT_ONCE: usize = 16;

/// A subscriber: one id for user and subscription, and the sealed billing key.
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub id: Uuid,
    pub sealed_billing_key: String,
}

impl Subscriber {
    /// The customer key at the gateway.
    pub fn customer_key(&self) -> String {
        self.id.to_string()
    }
}

/// Makes subscribers whose cards are registered at the sandbox.
pub async fn register(bank: &Arc<Bank>, count: usize) -> anyhow::Result<Vec<Subscriber>> {
    let sealer = Arc::new(Sealer::parse(SEALING_KEYS)?);
    let (mut all, mut registering) = (Vec::with_capacity(count), JoinSet::new());
    for _ in 0..count {
        if registering.len() >= REGISTRATIONS_AT_ONCE
            && let Some(subscriber) = registering.join_next().await
        {
            all.push(subscriber??);
        }
        let (bank, sealer) = (bank.clone(), sealer.clone());
        registering.spawn(async move {
            let id = new_key();
            let billing_key = SecretString::from(bank.register_card(&id.to_string()).await?);
            let sealed_billing_key = sealer.seal(&billing_key, id)?;
            anyhow::Ok(Subscriber { id, sealed_billing_key })
        });
    }
    while let Some(subscriber) = registering.join_next().await {
        all.push(subscriber??);
    }
    Ok(all)
}

/// Makes subscribers without cards, for runs that never call the gateway.
pub fn invent(count: usize) -> Vec<Subscriber> {
    (0..count).map(|_| Subscriber { id: new_key(), sealed_billing_key: "k1:none".to_owned() }).collect()
}

/// Writes active subscriptions that are paid for the month from `anchor` on. Returns their next due date.
pub async fn insert(
    pool: &PgPool,
    subscribers: &[Subscriber],
    anchor: NaiveDate,
    now: DateTime<Utc>,
) -> anyhow::Result<NaiveDate> {
    let paid = Cycle::Monthly.period(anchor, 0)?;
    for batch in subscribers.chunks(BATCH) {
        let ids: Vec<Uuid> = batch.iter().map(|subscriber| subscriber.id).collect();
        let keys: Vec<&str> = batch.iter().map(|subscriber| subscriber.sealed_billing_key.as_str()).collect();
        let users = "insert into users (id, created_at, updated_at) select id, $2, $2 from unnest($1::uuid[]) as t (id)";
        sqlx::query(users).bind(&ids).bind(now).execute(pool).await?;
        let written = sqlx::query(
            "insert into subscriptions
                 (id, user_id, plan, billing_cycle, billing_key, customer_key, card_registered_at, amount, status,
                  customer_email, customer_name, anchor_on, period_no, current_period_start, current_period_end,
                  next_billing_date, created_at, updated_at, activated_at)
             select id, id, 'personal', 'monthly', sealed, id::text, $3, $4, 'active', 'user@example.com', '홍길동',
                    $5, 0, $5, $6, $7, $3, $3, $3
               from unnest($1::uuid[], $2::text[]) as t (id, sealed)",
        );
        written
            .bind(&ids)
            .bind(&keys)
            .bind(now)
            .bind(PRICE)
            .bind(paid.start)
            .bind(paid.end)
            .bind(seoul_midnight(paid.end))
            .execute(pool)
            .await
            .context("cannot write the subscriptions")?;
    }
    Ok(paid.end)
}
