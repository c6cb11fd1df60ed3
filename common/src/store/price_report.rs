//! What operators read of a new price: how far it has come, and what each customer has answered.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known, won};
use crate::domain::{
    consent_report::{Answer, Facts, Life, Reply, answer},
    money::Won,
    price_change::PriceChange,
};

/// One subscription that a price change concerns.
#[derive(Debug, Clone)]
pub struct Answered {
    pub subscription_id: Uuid,
    pub customer_email: String,
    pub old: Won,
    pub new: Won,
    pub effective_on: NaiveDate,
    pub asked_at: Option<DateTime<Utc>>,
    pub consented_at: Option<DateTime<Utc>>,
    pub answer: Answer,
}

struct Row {
    subscription_id: Uuid,
    customer_email: String,
    from_amount: i32,
    to_amount: i32,
    effective_on: NaiveDate,
    end: Option<String>,
    canceled: bool,
    ended_by_it: bool,
    consented_at: Option<DateTime<Utc>>,
    asked_at: Option<DateTime<Utc>>,
    own_wish: bool,
}

impl TryFrom<Row> for Answered {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let facts = Facts {
            end: row.end.map(|end| known("plan_changes", "status", &end)).transpose()?,
            raises: row.to_amount > row.from_amount,
            own_wish: row.own_wish,
            reply: match (row.consented_at, row.asked_at) {
                (Some(_), _) => Reply::Consented,
                (None, Some(_)) => Reply::Silent,
                (None, None) => Reply::NotAsked,
            },
            subscription: match (row.ended_by_it, row.canceled) {
                (true, _) => Life::EndedByIt,
                (false, true) => Life::Canceled,
                (false, false) => Life::GoesOn,
            },
        };
        Ok(Self {
            subscription_id: row.subscription_id,
            customer_email: row.customer_email,
            old: won("plan_changes", "from_amount", row.from_amount)?,
            new: won("plan_changes", "to_amount", row.to_amount)?,
            effective_on: row.effective_on,
            asked_at: row.asked_at,
            consented_at: row.consented_at,
            answer: answer(facts),
        })
    }
}

/// Everybody who has, or had, a plan change of it, by date and id; the newest one where it was moved.
pub async fn answers(conn: &mut PgConnection, price: Uuid) -> Result<Vec<Answered>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select change.subscription_id, subscription.customer_email, change.from_amount, change.to_amount,
               change.effective_on, nullif(change.status, 'pending') as "end",
               subscription.canceled_at is not null as "canceled!",
               coalesce(subscription.canceled_at = change.settled_at, false) as "ended_by_it!",
               consent.given_at as "consented_at?", mail.asked_at as "asked_at?",
               exists (select from plan_changes wish
                        where wish.subscription_id = change.subscription_id and wish.price_change_id is null
                          and ((change.status = 'pending' and wish.status = 'pending'
                                and wish.effective_on <= change.effective_on)
                               or (wish.status = 'applied' and wish.settled_at = change.settled_at))) as "own_wish!"
          from plan_changes change
          join subscriptions subscription on subscription.id = change.subscription_id
          left join consents consent on consent.plan_change_id = change.id
          left join lateral (
               select min(emails.created_at) as asked_at from emails
                where emails.subscription_id = change.subscription_id and emails.kind = 'consent_request'
                  and emails.status <> 'dropped'
                  and position(replace(change.id::text, '-', '') in emails.unique_key) > 0) mail on true
         where change.price_change_id = $1
           and not exists (select from plan_changes newer
                            where newer.price_change_id = $1 and newer.subscription_id = change.subscription_id
                              and (newer.created_at, newer.id) > (change.created_at, change.id))
         order by change.effective_on, change.subscription_id
        "#,
        price
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Answered::try_from).collect()
}

/// How many subscriptions that are not over pay an old price of it and have no plan change: not begun,
/// suspended, or not found yet.
pub async fn still_to_come(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
) -> Result<i64, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and status <> 'canceled'
           and not exists (select from plan_changes change
                            where change.subscription_id = subscriptions.id and change.price_change_id is not null
                              and change.status = 'pending')
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// How many plan changes of a price change wait, with how many consents, and how many came or ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    pub pending: i64,
    pub consented: i64,
    pub applied: i64,
    pub lapsed: i64,
}

pub async fn progress(conn: &mut PgConnection, price: Uuid) -> Result<Progress, StoreError> {
    let progress = sqlx::query_as!(
        Progress,
        r#"
        select count(*) filter (where change.status = 'pending') as "pending!",
               count(consent.id) filter (where change.status = 'pending') as "consented!",
               count(*) filter (where change.status = 'applied') as "applied!",
               count(*) filter (where change.status = 'lapsed') as "lapsed!"
          from plan_changes change left join consents consent on consent.plan_change_id = change.id
         where change.price_change_id = $1
        "#,
        price
    )
    .fetch_one(conn)
    .await?;
    Ok(progress)
}
