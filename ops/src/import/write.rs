//! Writes what is to be brought, a bounded batch per transaction.

use chrono::{DateTime, Utc};
use common::domain::action::TargetKind;
use common::domain::calendar::seoul_midnight;
use common::domain::subscription::SubscriptionStatus;
use common::seal::{SealError, Sealer};
use common::store::imports;
use common::store::imports::Arrival;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::model::New;
use crate::OpsError;
use crate::action::Author;

const BATCH: usize = 500;

/// Answers how many were new: a run beside this one may have brought some meanwhile.
pub(crate) async fn all(
    conn: &mut PgConnection,
    new: &[New],
    source: &str,
    sealer: &Sealer,
    author: &Author,
) -> Result<usize, OpsError> {
    let (actor, now) = (author.actor.as_str(), author.now);
    let mut brought: usize = 0;
    for batch in new.chunks(BATCH) {
        let arrivals =
            batch.iter().map(|one| arrival(one, source, sealer, now)).collect::<Result<Vec<_>, _>>();
        let arrivals = arrivals.map_err(|error| OpsError::Refused(error.to_string()))?;
        let mut tx = conn.begin().await?;
        let count = imports::insert(&mut tx, &arrivals, source, actor, now).await?;
        if count > 0 {
            let after = json!({ "subscriptions": count });
            author
                .record(&mut tx, "import.batch", (TargetKind::Import, source), (&json!({}), &after))
                .await?;
        }
        tx.commit().await?;
        brought = brought.saturating_add(count);
    }
    Ok(brought)
}

fn arrival(new: &New, source: &str, sealer: &Sealer, now: DateTime<Utc>) -> Result<Arrival, SealError> {
    let New { record, placement, .. } = new;
    let paid = placement.paid;
    let since = |there: Option<DateTime<Utc>>| there.unwrap_or(now).min(now);
    let is_suspended = placement.status == SubscriptionStatus::Suspended;
    let is_canceled = placement.status == SubscriptionStatus::Canceled;
    Ok(Arrival {
        id: record.id,
        user_id: record.user_id,
        plan: record.plan.clone(),
        billing_cycle: record.cycle.into(),
        billing_key: sealer.seal(&record.billing_key, record.id)?,
        customer_key: record.customer_key.clone(),
        amount: record.amount.get(),
        status: placement.status.into(),
        customer_email: record.customer_email.clone(),
        customer_name: record.customer_name.clone(),
        anchor_on: placement.anchor_on,
        period_no: i32::try_from(paid.no).unwrap_or(i32::MAX),
        current_period_start: paid.start,
        current_period_end: paid.end,
        next_billing_date: seoul_midnight(paid.end),
        created_at: since(record.created_at),
        suspended_at: is_suspended.then(|| since(record.updated_at)),
        canceled_at: is_canceled.then(|| since(record.canceled_at)),
        cancel_reason: record.cancel_reason.clone().filter(|_| is_canceled),
        source_id: record.source_id.clone(),
        source_next_billing_date: record.next_on,
        charged_elsewhere_until: placement.charged_elsewhere_until,
        why: why(new, source),
    })
}

fn why(new: &New, source: &str) -> String {
    let New { record, placement, .. } = new;
    let (place, status, until) = (&record.place, record.status, placement.charged_elsewhere_until);
    let moved = match placement.moved_from {
        Some(date) => format!("; {date} counts as charged there"),
        None => String::new(),
    };
    format!("{source}, {place}: {status} there, charged there up to {until}{moved}")
}
