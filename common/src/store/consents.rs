//! The customers' consents to higher amounts, kept as evidence.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::plan_change::PlanChange;

/// What was shown, to whom, and from where the answer came.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub shown_text: &'a str,
    pub given_by: &'a str,
    /// The registered card, as Toss masks it.
    pub card_number: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub forwarded_for: Option<&'a str>,
    pub user_agent: Option<&'a str>,
}

/// Keeps the consent to this change. A second one changes nothing; answers whether it was the first.
pub async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    change: &PlanChange,
    evidence: Evidence<'_>,
    given_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        insert into consents
            (id, plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount, effective_on, card_number,
             shown_text, given_by, given_at, ip, forwarded_for, user_agent)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict (plan_change_id) do nothing
        "#,
        id,
        change.id,
        change.subscription_id,
        change.to.plan,
        <&str>::from(change.to.cycle),
        change.from.amount.get(),
        change.to.amount.get(),
        change.effective_on,
        evidence.card_number,
        evidence.shown_text,
        evidence.given_by,
        given_at,
        evidence.ip,
        evidence.forwarded_for,
        evidence.user_agent,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
