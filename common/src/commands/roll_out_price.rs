//! Makes the plan changes that follow from an announced price, and takes back those of a withdrawn one.
//!
//! The command that announces a price runs it, and the daily run does so again. It can stop after any batch and be repeated:
//! what exists stays, what is missing is made. A subscription that comes to pay an old price later (begun, resumed, imported)
//! gets its change from the next daily run.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{
        calendar::{OutOfCalendar, seoul_date},
        plan_change::ChangeEnd,
        price_change::{Dates, PriceChange, Standing},
    },
    store::{StoreError, price_changes, price_rollout},
};

const BATCH: i64 = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum RollOutError {
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a batch leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another batch, after this subscription.
    After(Uuid),
    Done,
}

/// One batch, after `after` (first: nil). The caller commits.
pub async fn roll_out_price(
    conn: &mut PgConnection,
    price: &PriceChange,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<Next, RollOutError> {
    Ok(match price.standing(seoul_date(now)) {
        Standing::Withdrawn => {
            let taken_back = price_rollout::lock_pending(conn, price.id, BATCH).await?;
            price_rollout::settle_all(conn, &taken_back, ChangeEnd::Withdrawn, false, now).await?;
            if is_full(&taken_back) { Next::After(after) } else { Next::Done }
        }
        // Its changes that come before the next price's date stay; the next price makes the others.
        Standing::Followed => Next::Done,
        Standing::Announced | Standing::InForce => {
            if make_room(conn, price, now).await? {
                Next::After(after)
            } else {
                make_missing(conn, price, after, now).await?
            }
        }
    })
}

fn is_full(batch: &[Uuid]) -> bool {
    i64::try_from(batch.len()).is_ok_and(|len| len >= BATCH)
}

/// Ends plan changes that this price replaces: those to an earlier price that would come on its date or later, and those
/// whose customers would be canceled without ever having been asked, for example after an outage. Returns whether there
/// may be more.
async fn make_room(
    conn: &mut PgConnection,
    price: &PriceChange,
    now: DateTime<Utc>,
) -> Result<bool, RollOutError> {
    let superseded = price_rollout::lock_superseded(conn, price, BATCH).await?;
    price_rollout::settle_all(conn, &superseded, ChangeEnd::Superseded, false, now).await?;
    let until = Dates::of(seoul_date(now))?.first_raise_on;
    let unnotified = price_rollout::lock_unnotified(conn, price.id, until, BATCH).await?;
    price_rollout::settle_all(conn, &unnotified, ChangeEnd::Superseded, true, now).await?;
    Ok(is_full(&superseded) || is_full(&unnotified))
}

async fn make_missing(
    conn: &mut PgConnection,
    price: &PriceChange,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<Next, RollOutError> {
    let amounts = price_changes::old_amounts(conn, price).await?;
    let batch = price_rollout::lock_affected(conn, price, &amounts, after, BATCH).await?;
    price_rollout::insert_changes(conn, price, &batch, Dates::of(seoul_date(now))?, now).await?;
    Ok(match batch.last() {
        Some(last) if is_full(&batch) => Next::After(*last),
        Some(_) | None => Next::Done,
    })
}
