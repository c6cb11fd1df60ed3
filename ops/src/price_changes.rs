//! `billing plans price-changes` and `withdraw`: which new prices there are, how far they have come, and taking one back.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use common::commands::announce_price::withdraw_price;
use common::domain::action::TargetKind;
use common::domain::calendar::seoul_date;
use common::domain::money::Won;
use common::domain::price_change::PriceChange;
use common::store::price_changes;
use common::store::price_changes::Progress;
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::OpsError;
use crate::action::Author;
use crate::reprice::roll_out;
use crate::text::{Table, plain, seoul};

/// Newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct PriceChanges(pub Vec<PriceChangeLine>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PriceChangeLine {
    pub id: Uuid,
    pub plan: String,
    pub billing_cycle: String,
    pub old_amount: Won,
    pub new_amount: Won,
    pub effective_from: NaiveDate,
    /// `announced`, `in_force`, `followed` (another took its place) or `withdrawn`.
    pub status: String,
    /// Subscriptions that wait for their renewal, and how many of those have consented.
    pub pending: i64,
    pub consented: i64,
    /// At the new price, or ended without.
    pub applied: i64,
    pub lapsed: i64,
    pub reason: String,
    pub requested_by: String,
    pub created_at: DateTime<Utc>,
    pub withdrawn_at: Option<DateTime<Utc>>,
    pub withdrawn_by: Option<String>,
    pub withdrawal: Option<String>,
}

/// It was taken back. Whoever subscribed at the new price meanwhile still pays that.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawn {
    pub price_change: PriceChangeLine,
    /// Subscriptions that pay the new price: begun since it was announced, or before for another reason.
    pub at_new_price: i64,
}

pub async fn list(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<PriceChanges, OpsError> {
    let mut lines = Vec::new();
    for change in price_changes::list(conn, None).await? {
        lines.push(line(conn, change, now).await?);
    }
    Ok(PriceChanges(lines))
}

/// Takes it back, commits, and takes the plan changes back that followed from it.
pub async fn withdraw(conn: &mut PgConnection, id: Uuid, author: &Author) -> Result<Withdrawn, OpsError> {
    let (actor, reason, now) = (author.actor.as_str(), author.reason.as_str(), author.now);
    let mut tx = conn.begin().await?;
    let withdrawn = withdraw_price(&mut tx, id, actor, reason, now).await?;
    let target = (TargetKind::PriceChange, &*id.to_string());
    let (before, after) = (json!({ "withdrawnAt": null }), json!({ "withdrawnAt": now }));
    author.record(&mut tx, "price_change.withdraw", target, (&before, &after)).await?;
    let at_new_price = price_changes::still_to_come(&mut tx, &withdrawn, &[withdrawn.new]).await?;
    tx.commit().await?;
    roll_out(conn, &withdrawn, now).await?;
    if let Some(earlier) = withdrawn.follows
        && let Some(reopened) = price_changes::find(conn, earlier).await?
    {
        roll_out(conn, &reopened, now).await?;
    }
    Ok(Withdrawn { price_change: line(conn, withdrawn, now).await?, at_new_price })
}

async fn line(
    conn: &mut PgConnection,
    change: PriceChange,
    now: DateTime<Utc>,
) -> Result<PriceChangeLine, OpsError> {
    let Progress { pending, consented, applied, lapsed } = price_changes::progress(conn, change.id).await?;
    Ok(PriceChangeLine {
        id: change.id,
        status: change.standing(seoul_date(now)).to_string(),
        plan: change.plan,
        billing_cycle: change.cycle.to_string(),
        old_amount: change.old,
        new_amount: change.new,
        effective_from: change.effective_from,
        pending,
        consented,
        applied,
        lapsed,
        reason: change.reason,
        requested_by: change.requested_by,
        created_at: change.created_at,
        withdrawn_at: change.withdrawal.as_ref().map(|change| change.at),
        withdrawn_by: change.withdrawal.as_ref().map(|change| change.by.clone()),
        withdrawal: change.withdrawal.map(|change| change.reason),
    })
}

impl fmt::Display for PriceChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[
            "PRICE CHANGE",
            "PLAN",
            "CYCLE",
            "OLD",
            "NEW",
            "FROM",
            "STATUS",
            "PENDING",
            "CONSENTED",
            "APPLIED",
            "ENDED",
            "ANNOUNCED",
            "BY",
            "REASON",
        ]);
        for change in &self.0 {
            table.row([
                change.id.to_string(),
                change.plan.clone(),
                change.billing_cycle.clone(),
                change.old_amount.to_string(),
                change.new_amount.to_string(),
                change.effective_from.to_string(),
                change.status.clone(),
                change.pending.to_string(),
                change.consented.to_string(),
                change.applied.to_string(),
                change.lapsed.to_string(),
                seoul(change.created_at),
                change.requested_by.clone(),
                change
                    .withdrawal
                    .as_ref()
                    .map_or_else(|| change.reason.clone(), |why| format!("withdrawn: {why}")),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for Withdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PriceChangeLine { id, plan, billing_cycle, old_amount, new_amount, .. } = &self.price_change;
        writeln!(f, "price change {id} is withdrawn: {plan} {billing_cycle} stays at {old_amount}")?;
        if self.at_new_price > 0 {
            let (count, plan) = (self.at_new_price, plain(plan));
            writeln!(
                f,
                "{count} subscriptions pay {new_amount}; to bring them back: billing plans reprice {plan} \
                 --{billing_cycle} {} --was {} --from … --reason …",
                old_amount.get(),
                new_amount.get()
            )?;
        }
        Ok(())
    }
}
