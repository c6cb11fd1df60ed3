//! Reads and changes subscriptions. Whoever changes one holds its row's lock.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::columns::Count;
use super::{StoreError, number, one_row};
use crate::domain::calendar::{Period, seoul_midnight};
use crate::domain::ending::{Ending, RefundPolicy, Unused};
use crate::domain::subscription::Subscription;

/// Writes a new subscription exactly as it is given, status included.
pub async fn insert(conn: &mut PgConnection, new: &Subscription) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into subscriptions
            (id, user_id, plan, billing_cycle, customer_key, amount, status, customer_email, customer_name, anchor_on,
             period_no, current_period_start, current_period_end, next_billing_date, repair_until, created_at, updated_at,
             may_be_held_beside_others)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16,
                coalesce((select may_be_held_beside_others from plans where code = $3::varchar), false))
        "#,
        new.id,
        new.user_id,
        new.plan,
        <&str>::from(new.cycle),
        new.customer_key,
        new.amount.get(),
        <&str>::from(new.status),
        new.customer_email,
        new.customer_name,
        new.anchor_on,
        number(new.period_no),
        new.current_period_start,
        new.current_period_end,
        new.next_billing_date,
        new.repair_until,
        new.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Subscription>, StoreError> {
    let found = sqlx::query_file_as!(Subscription, "src/store/sql/subscription_find.sql", id)
        .fetch_optional(conn)
        .await?;
    Ok(found)
}

/// These subscriptions, in the order of their ids.
pub async fn of_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Subscription>, StoreError> {
    let found = sqlx::query_file_as!(Subscription, "src/store/sql/subscriptions_of_ids.sql", ids)
        .fetch_all(conn)
        .await?;
    Ok(found)
}

/// Reads a subscription and locks its row until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Subscription>, StoreError> {
    let found = sqlx::query_file_as!(Subscription, "src/store/sql/subscription_lock.sql", id)
        .fetch_optional(conn)
        .await?;
    Ok(found)
}

/// Locks those of these subscriptions that nobody else holds, and returns their ids.
pub async fn lock_free(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let free = sqlx::query_scalar!(
        "select id from subscriptions where id = any($1) order by id for no key update skip locked",
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(free)
}

/// Those of these subscriptions that rows may refer to now, and until the caller's transaction ends: nobody holds them for
/// an update of their keys or a deletion.
pub async fn free_to_refer_to(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let free = sqlx::query_scalar!(
        "select id from subscriptions where id = any($1) order by id for key share skip locked",
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(free)
}

/// Locks the subscriptions that a user's next purchase may collide with, oldest first: all that are not canceled, and canceled
/// ones with paid time left on `today`. Plans that may be held beside others are left out.
pub async fn in_the_way_of_purchase(
    conn: &mut PgConnection,
    user_id: Uuid,
    today: NaiveDate,
) -> Result<Vec<Subscription>, StoreError> {
    let found =
        sqlx::query_file_as!(Subscription, "src/store/sql/subscription_in_the_way.sql", user_id, today)
            .fetch_all(conn)
            .await?;
    Ok(found)
}

/// A user's subscriptions, newest first, without those that never began. `before` is the last one of the page before.
pub async fn page_of_user(
    conn: &mut PgConnection,
    user_id: Uuid,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Subscription>, StoreError> {
    let (at, id) = before.unzip();
    let found =
        sqlx::query_file_as!(Subscription, "src/store/sql/subscription_page.sql", user_id, at, id, limit)
            .fetch_all(conn)
            .await?;
    Ok(found)
}

/// Starts a paid period: access runs to its end, and the next charge is due then.
///
/// An older period, released by an operator, never moves the subscription back: it only ends its dunning.
pub async fn begin_period(
    conn: &mut PgConnection,
    id: Uuid,
    period: Period,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let older = sqlx::query!(
        r#"select exists (select from subscriptions where id = $1 and period_no > $2) as "is_older!""#,
        id,
        number(period.no),
    )
    .fetch_one(&mut *conn)
    .await?;
    if older.is_older {
        end_dunning(conn, id, &["past_due", "suspended"], now).await?;
        return Ok(());
    }
    let done = sqlx::query!(
        r#"
        update subscriptions
           set status = 'active', period_no = $2, current_period_start = $3, current_period_end = $4,
               next_billing_date = $5, activated_at = coalesce(activated_at, $6), suspended_at = null, updated_at = $6
         where id = $1 and status <> 'canceled'
        "#,
        id,
        number(period.no),
        period.start,
        period.end,
        seoul_midnight(period.end),
        now,
    )
    .execute(conn)
    .await?;
    one_row("begin a paid period", &done)
}

/// Moves the anchor date, as long as no period is paid.
pub async fn move_anchor(
    conn: &mut PgConnection,
    id: Uuid,
    anchor_on: NaiveDate,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update subscriptions set anchor_on = $2, updated_at = $3 where id = $1 and status = 'incomplete'",
        id,
        anchor_on,
        now,
    )
    .execute(conn)
    .await?;
    one_row("move the anchor", &done)
}

/// Stores a registered card: the sealed billing key and the masked number.
pub async fn keep_card(
    conn: &mut PgConnection,
    id: Uuid,
    sealed_billing_key: &str,
    card_number: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update subscriptions
           set billing_key = $2, card_number = $3, card_registered_at = $4, updated_at = $4
         where id = $1
        "#,
        id,
        sealed_billing_key,
        card_number,
        now,
    )
    .execute(conn)
    .await?;
    one_row("keep a card", &done)
}

/// The subscriptions whose sealed billing key ends in one of these fingerprints.
pub async fn of_fingerprints(
    conn: &mut PgConnection,
    fingerprints: &[String],
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "select id from subscriptions where billing_key_fingerprint = any($1) order by id",
        fingerprints
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// A charge was declined; the card is tried again at `next_try`.
pub async fn mark_past_due(
    conn: &mut PgConnection,
    id: Uuid,
    next_try: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update subscriptions set status = 'past_due', next_billing_date = $2, updated_at = $3 where id = $1",
        id,
        next_try,
        now,
    )
    .execute(conn)
    .await?;
    one_row("mark past due", &done)
}

pub async fn suspend(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    // Without retries the first decline suspends: the states still follow one another.
    sqlx::query!(
        "update subscriptions set status = 'past_due', updated_at = $2 where id = $1 and status = 'active'",
        id,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "update subscriptions set status = 'suspended', suspended_at = $2, updated_at = $2 where id = $1",
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("suspend", &done)
}

pub async fn cancel(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update subscriptions
           set status = 'canceled', canceled_at = $2, cancel_reason = $3, updated_at = $2
         where id = $1 and status <> 'canceled'
        "#,
        id,
        now,
        reason,
    )
    .execute(conn)
    .await?;
    one_row("cancel", &done)
}

/// Stops or resumes automatic charges of one subscription; look-ups of what is in flight go on.
pub async fn pause_charging(
    conn: &mut PgConnection,
    id: Uuid,
    paused_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let done = sqlx::query!("update subscriptions set charging_paused_at = $2 where id = $1", id, paused_at)
        .execute(conn)
        .await?;
    one_row("pause charging", &done)
}

/// Ends the dunning of a past-due subscription whose invoice was forgiven, unless another invoice is unpaid. The next scan
/// charges it again.
pub async fn leave_past_due(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    end_dunning(conn, id, &["past_due"], now).await
}

/// Reactivates a suspended subscription that owes nothing. It is charged on its next date.
pub async fn revive(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    end_dunning(conn, id, &["suspended"], now).await
}

async fn end_dunning(
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

/// Records an end at once. The schema refuses a second one of the same subscription.
pub async fn insert_ending(
    conn: &mut PgConnection,
    new: &Ending,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into subscription_endings (subscription_id, request_key, refund_policy, reason, requested_by, unused_days,
                                          period_days, refund_id, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        new.subscription_id,
        new.request_key,
        <&str>::from(new.policy),
        new.reason,
        new.requested_by,
        number(new.unused.days),
        number(new.unused.of),
        new.refund_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn find_ending(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Option<Ending>, StoreError> {
    let row = sqlx::query!(
        r#"
        select subscription_id, request_key, refund_policy as "policy: RefundPolicy", reason, requested_by,
               unused_days as "unused_days: Count", period_days as "period_days: Count", refund_id
          from subscription_endings where subscription_id = $1
        "#,
        subscription_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Ending {
        subscription_id: row.subscription_id,
        request_key: row.request_key,
        policy: row.policy,
        reason: row.reason,
        requested_by: row.requested_by,
        unused: Unused { days: row.unused_days.into(), of: row.period_days.into() },
        refund_id: row.refund_id,
    }))
}

/// Ends access now. The schema allows it for a canceled subscription only, and never lets it be undone.
pub async fn mark_ended(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update subscriptions set ended_at = $2, updated_at = $2 where id = $1 and ended_at is null",
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("end a subscription", &done)
}

/// Undoes a cancel. The next charge is due when the paid period ends.
pub async fn resume(
    conn: &mut PgConnection,
    id: Uuid,
    period_end: NaiveDate,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update subscriptions
           set status = 'active', canceled_at = null, cancel_reason = null, next_billing_date = $2, updated_at = $3
         where id = $1 and status = 'canceled'
        "#,
        id,
        seoul_midnight(period_end),
        now,
    )
    .execute(conn)
    .await?;
    one_row("resume", &done)
}
