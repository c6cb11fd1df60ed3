//! The ladder on record: the policy an invoice is pinned to, the steps passed without asking the bank, the way out.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, counted, number};
use crate::domain::{charge::SkipReason, dunning::Policy};

/// The policy the invoice is pinned to; the first failure pins it to `current`. Later changes of the
/// configuration do not touch a ladder that has begun.
pub async fn pin_policy(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    current: &Policy,
) -> Result<Policy, StoreError> {
    let days: Vec<i32> = current.retry_days.iter().copied().map(number).collect();
    sqlx::query!(
        "insert into dunning_policies (retry_days) values ($1) on conflict (retry_days) do nothing",
        &days
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        update invoices set dunning_policy_id = (select id from dunning_policies where retry_days = $2)
         where id = $1 and dunning_policy_id is null
        "#,
        invoice_id,
        &days,
    )
    .execute(&mut *conn)
    .await?;
    let pinned = sqlx::query!(
        r#"
        select policy.retry_days
          from invoices invoice join dunning_policies policy on policy.id = invoice.dunning_policy_id
         where invoice.id = $1
        "#,
        invoice_id
    )
    .fetch_one(conn)
    .await?;
    let retry_days = pinned
        .retry_days
        .into_iter()
        .map(|days| counted("dunning_policies", "retry_days", days))
        .collect::<Result<_, _>>()?;
    Ok(Policy { retry_days })
}

pub async fn count_skips(conn: &mut PgConnection, invoice_id: Uuid) -> Result<usize, StoreError> {
    let row =
        sqlx::query!(r#"select count(*) as "skips!" from dunning_skips where invoice_id = $1"#, invoice_id)
            .fetch_one(conn)
            .await?;
    Ok(usize::try_from(row.skips).unwrap_or_default())
}

/// Records that this step (1-based) passed without asking the bank. A repeat changes nothing.
pub async fn record_skip(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    step: usize,
    reason: SkipReason,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into dunning_skips (invoice_id, step, reason, skipped_at) values ($1, $2, $3, $4)
        on conflict (invoice_id, step) do nothing
        "#,
        invoice_id,
        i32::try_from(step).unwrap_or(i32::MAX),
        reason.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The invoice that was past due has been forgiven: the next scan charges the current period, unless another invoice
/// is still unpaid.
pub async fn leave_past_due(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    end_dunning(conn, id, &["past_due"], now).await
}

/// A suspended subscription that owes nothing goes on: it is charged on its next date.
pub async fn revive(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    end_dunning(conn, id, &["suspended"], now).await
}

pub(super) async fn end_dunning(
    conn: &mut PgConnection,
    id: Uuid,
    statuses: &[&str],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update subscriptions
           set status = 'active', suspended_at = null, updated_at = $3,
               next_billing_date = current_period_end::timestamp at time zone 'Asia/Seoul'
         where id = $1 and status = any ($2)
           and not exists (select from invoices
                            where subscription_id = $1 and invoices.status in ('open', 'uncollectible')
                              and held_since is null)
        "#,
        id,
        &statuses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
