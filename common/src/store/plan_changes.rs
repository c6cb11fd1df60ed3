//! Table `plan_changes`: changes of plan, cycle or price that wait for a renewal. Callers that write hold the subscription's lock.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::columns::Count;
use super::{StoreError, number, one_row};
use crate::domain::calendar::Cycle;
use crate::domain::money::Won;
use crate::domain::plan_change::{ChangeEnd, Consent, PlanChange, Terms};

/// A plan change as its table has it, with the columns of its terms and of its consent.
struct Row {
    id: Uuid,
    subscription_id: Uuid,
    price_change_id: Option<Uuid>,
    from_plan: String,
    from_cycle: Cycle,
    from_amount: Won,
    to_plan: String,
    to_cycle: Cycle,
    to_amount: Won,
    effective_no: u32,
    effective_on: NaiveDate,
    requested_by: String,
    consented_amount: Option<Won>,
    consented_at: Option<DateTime<Utc>>,
}

impl From<Row> for PlanChange {
    fn from(row: Row) -> Self {
        let consent = row.consented_amount.zip(row.consented_at);
        Self {
            id: row.id,
            subscription_id: row.subscription_id,
            price_change_id: row.price_change_id,
            from: Terms { plan: row.from_plan, cycle: row.from_cycle, amount: row.from_amount },
            to: Terms { plan: row.to_plan, cycle: row.to_cycle, amount: row.to_amount },
            effective_no: row.effective_no,
            effective_on: row.effective_on,
            requested_by: row.requested_by,
            consent: consent.map(|(amount, given_at)| Consent { amount, given_at }),
        }
    }
}

pub async fn insert(conn: &mut PgConnection, new: &PlanChange, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into plan_changes
            (id, subscription_id, price_change_id, from_plan, from_cycle, from_amount, to_plan, to_cycle, to_amount,
             effective_no, effective_on, requested_by, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        "#,
        new.id,
        new.subscription_id,
        new.price_change_id,
        new.from.plan,
        <&str>::from(new.from.cycle),
        new.from.amount.get(),
        new.to.plan,
        <&str>::from(new.to.cycle),
        new.to.amount.get(),
        number(new.effective_no),
        new.effective_on,
        new.requested_by,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The pending changes of these subscriptions, with their consents.
pub async fn pending_of(
    conn: &mut PgConnection,
    subscriptions: &[Uuid],
) -> Result<Vec<PlanChange>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select change.id, change.subscription_id, price_change_id, from_plan, from_cycle as "from_cycle: _",
               from_amount as "from_amount: _", to_plan, to_cycle as "to_cycle: _", to_amount as "to_amount: _",
               effective_no as "effective_no: Count", change.effective_on, requested_by,
               consent.new_amount as "consented_amount?: _", consent.given_at as "consented_at?"
          from plan_changes change
          left join consents consent on consent.plan_change_id = change.id
         where change.subscription_id = any ($1) and change.status = 'pending'
         order by change.subscription_id, change.effective_on
        "#,
        subscriptions,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PlanChange::from).collect())
}

/// The last period of a subscription that an invoice was made for; 0 where there is none but the first.
pub async fn last_billed_no(conn: &mut PgConnection, subscription_id: Uuid) -> Result<u32, StoreError> {
    let no = sqlx::query_scalar!(
        r#"select coalesce(max(period_no), 0) as "no!: Count" from invoices where subscription_id = $1"#,
        subscription_id
    )
    .fetch_one(conn)
    .await?;
    Ok(no.into())
}

/// Writes how a pending change ended.
pub async fn settle(
    conn: &mut PgConnection,
    id: Uuid,
    end: ChangeEnd,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update plan_changes set status = $2, settled_at = $3 where id = $1 and status = 'pending'",
        id,
        <&str>::from(end),
        now,
    )
    .execute(conn)
    .await?;
    one_row("settle a plan change", &done)
}

/// Puts new terms in force. Their first period begins in month `from_month` after the anchor.
pub async fn begin_terms(
    conn: &mut PgConnection,
    change: &PlanChange,
    from_month: u32,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update subscriptions
           set plan = $2, billing_cycle = $3, amount = $4, terms_since_period = $5, terms_since_month = $6, updated_at = $7
         where id = $1 and status in ('active', 'past_due', 'suspended')
        "#,
        change.subscription_id,
        change.to.plan,
        <&str>::from(change.to.cycle),
        change.to.amount.get(),
        number(change.effective_no),
        number(from_month),
        now,
    )
    .execute(conn)
    .await?;
    one_row("begin new terms", &done)
}

/// Subscriptions whose change has come and that would be renewed or have ended, in the order of their ids, after `after`.
pub async fn due_batch(
    conn: &mut PgConnection,
    today: NaiveDate,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select subscription.id
          from subscriptions subscription
         where subscription.id in (select subscription_id from plan_changes
                                    where status = 'pending' and effective_on <= $1)
           and (subscription.status = 'canceled'
                or (subscription.status = 'active' and subscription.charging_paused_at is null))
           and subscription.id > $2
         order by subscription.id
         limit $3
        "#,
        today,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Subscriptions that may have to be asked for a consent: something pending from `from` (not included) to `until`,
/// for more than now, without a consent. In the order of their ids, after `after`.
pub async fn unconsented_batch(
    conn: &mut PgConnection,
    from: NaiveDate,
    until: NaiveDate,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select subscription.id
          from subscriptions subscription
         where subscription.id in (
                   select change.subscription_id from plan_changes change
                    where change.status = 'pending' and change.effective_on > $1 and change.effective_on <= $2
                      and change.to_amount > change.from_amount
                      and not exists (select from consents where consents.plan_change_id = change.id))
           and subscription.status in ('active', 'past_due') and subscription.id > $3
         order by subscription.id
         limit $4
        "#,
        from,
        until,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
