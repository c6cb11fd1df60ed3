//! How payments were made, for those who show them.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// How each of these was paid (`card`, `easy_pay`…), where that is known.
pub async fn of_payments(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, String>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, payment_method as "method!" from payments where id = any($1) and payment_method is not null"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.method)).collect())
}
