//! What the operators' console reads. Every statement is bounded by an index: a page may never be what slows a charge.

pub mod today;

use sqlx::{PgPool, Postgres, Transaction};

use super::StoreError;

/// A transaction that only reads, on one snapshot, and gives up early. Its conditions are mostly optional, so each
/// statement is planned for what it was given.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let begin = "begin isolation level repeatable read read only";
    let mut tx = pool.begin_with(begin).await?;
    sqlx::query(
        "select set_config('statement_timeout', '10s', true), set_config('plan_cache_mode', 'force_custom_plan', true)",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}
