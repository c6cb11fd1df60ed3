//! Plans and their prices.

use sqlx::PgConnection;

use super::{StoreError, one_row};
use crate::domain::{money::Won, plan::Plan};

pub async fn list(conn: &mut PgConnection) -> Result<Vec<Plan>, StoreError> {
    let plans = sqlx::query_as!(
        Plan,
        r#"
        select code, name, monthly_amount as "monthly: _", yearly_amount as "yearly: _", may_be_held_beside_others
          from plans order by monthly_amount, code
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(plans)
}

/// What customers call the plan, or its code where the plan is gone.
pub async fn name_of(conn: &mut PgConnection, code: &str) -> Result<String, StoreError> {
    Ok(find(conn, code).await?.map_or_else(|| code.to_owned(), |plan| plan.name))
}

pub async fn find(conn: &mut PgConnection, code: &str) -> Result<Option<Plan>, StoreError> {
    let plan = sqlx::query_as!(
        Plan,
        r#"
        select code, name, monthly_amount as "monthly: _", yearly_amount as "yearly: _", may_be_held_beside_others
          from plans where code = $1
        "#,
        code
    )
    .fetch_optional(conn)
    .await?;
    Ok(plan)
}

/// Reads a plan and holds its row: whoever changes its price, or announces another, comes after.
pub async fn lock(conn: &mut PgConnection, code: &str) -> Result<Option<Plan>, StoreError> {
    let plan = sqlx::query_as!(
        Plan,
        r#"
        select code, name, monthly_amount as "monthly: _", yearly_amount as "yearly: _", may_be_held_beside_others
          from plans where code = $1 for update
        "#,
        code
    )
    .fetch_optional(conn)
    .await?;
    Ok(plan)
}

/// Makes a plan or changes it. Running subscriptions keep the price that their customers agreed to.
pub async fn set(
    conn: &mut PgConnection,
    code: &str,
    name: &str,
    monthly: Won,
    yearly: Won,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into plans (code, name, monthly_amount, yearly_amount) values ($1, $2, $3, $4)
        on conflict (code) do update
           set name = excluded.name, monthly_amount = excluded.monthly_amount,
               yearly_amount = excluded.yearly_amount, updated_at = now()
        "#,
        code,
        name,
        monthly.get(),
        yearly.get(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Says whether customers may hold the plan beside another subscription. Counts for purchases from now on.
pub async fn set_held_beside_others(
    conn: &mut PgConnection,
    code: &str,
    may_be: bool,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update plans set may_be_held_beside_others = $2, updated_at = now() where code = $1",
        code,
        may_be,
    )
    .execute(conn)
    .await?;
    one_row("mark a plan", &done)
}
