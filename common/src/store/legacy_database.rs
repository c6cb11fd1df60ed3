//! Reads the database of a system that was built from the guide: its `subscriptions` and `users`, every value as text.
//!
//! Not checked when compiled: it is another system's schema, whose columns may well be of other types.

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use super::StoreError;

/// The columns of a row, in the order in which [`subscriptions`] gives their values.
pub const COLUMNS: [&str; 15] = [
    "id",
    "user_id",
    "plan",
    "billing_cycle",
    "billing_key",
    "customer_key",
    "amount",
    "status",
    "next_billing_date",
    "created_at",
    "updated_at",
    "canceled_at",
    "cancel_reason",
    "customer_email",
    "customer_name",
];

const ALL: &str = "
    select s.id::text, s.user_id::text, s.plan::text, s.billing_cycle::text, s.billing_key::text,
           s.customer_key::text, s.amount::text, s.status::text, s.next_billing_date::text, s.created_at::text,
           s.updated_at::text, s.canceled_at::text, s.cancel_reason::text, u.email::text, u.name::text
      from subscriptions s left join users u on u.id = s.user_id
     order by s.id";

/// All subscriptions as of one instant. Writes nothing, and could not.
pub async fn subscriptions(conn: &mut PgConnection) -> Result<Vec<Vec<Option<String>>>, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    // Instants are printed in this zone.
    sqlx::query("set local time zone 'UTC'").execute(&mut *tx).await?;
    sqlx::query("set local datestyle = 'ISO'").execute(&mut *tx).await?;
    let rows = sqlx::query(ALL).fetch_all(&mut *tx).await?;
    let values = |row: &PgRow| (0..COLUMNS.len()).map(|column| row.try_get(column)).collect();
    Ok(rows.iter().map(values).collect::<Result<_, _>>()?)
}

/// Whether it is a database of this program, whose billing keys are sealed for their own rows.
pub async fn is_ours(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let found = "select exists (select from pg_attribute
                  where attrelid = to_regclass('subscriptions') and attname = 'anchor_on')";
    Ok(sqlx::query_scalar(found).fetch_one(conn).await?)
}
