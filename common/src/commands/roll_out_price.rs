//! Makes the plan changes that follow from an announced price, and takes back those of a withdrawn one.
//!
//! The command that announces a price runs it, and the daily run does so again. It can stop after any batch and be repeated:
//! what exists stays, what is missing is made. A subscription whose row somebody else holds is left out: the daily run comes
//! back for it. One that comes to pay an old price later (begun, resumed, imported) gets its change from the next daily run.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::calendar::{OutOfCalendar, seoul_date};
use crate::domain::plan_change::ChangeEnd;
use crate::domain::price_change::{Dates, PriceChange, Standing};
pub use crate::store::price_rollout::Concerned;
use crate::store::{StoreError, price_changes, price_rollout, subscriptions};

const BATCH: i64 = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum RollOutError {
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A part of a roll-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Takes back the plan changes to a withdrawn price.
    TakeBack,
    /// Ends plan changes to an earlier price that would come on this price's date or later.
    EndSuperseded,
    /// Ends plan changes whose customers would be canceled without ever having been asked, for example after an outage.
    EndUnasked,
    /// Makes the plan changes to this price.
    MakeMissing,
}

/// The parts of a price's roll-out, in their order.
pub fn parts(price: &PriceChange, today: NaiveDate) -> &'static [Part] {
    match price.standing(today) {
        Standing::Withdrawn => &[Part::TakeBack],
        // Its changes that come before the next price's date stay; the next price makes the others.
        Standing::Followed => &[],
        Standing::Announced | Standing::InForce => {
            &[Part::EndSuperseded, Part::EndUnasked, Part::MakeMissing]
        }
    }
}

/// The next subscriptions after `after` (first: nil) that a part concerns, in the order of their ids. Locks nothing.
pub async fn next_batch(
    conn: &mut PgConnection,
    price: &PriceChange,
    part: Part,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Concerned>, RollOutError> {
    Ok(match part {
        Part::TakeBack => price_rollout::pending(conn, price.id, after, BATCH).await?,
        Part::EndSuperseded => price_rollout::superseded(conn, price, after, BATCH).await?,
        Part::EndUnasked => {
            let until = Dates::of(seoul_date(now))?.first_raise_on;
            price_rollout::unnotified(conn, price.id, until, after, BATCH).await?
        }
        Part::MakeMissing => {
            let amounts = price_changes::old_amounts(conn, price).await?;
            price_rollout::affected(conn, price, &amounts, after, BATCH).await?
        }
    })
}

/// Does a part for those of these subscriptions that nobody else holds. Returns the ones that somebody holds. The caller
/// commits.
pub async fn roll_out(
    conn: &mut PgConnection,
    price: &PriceChange,
    part: Part,
    batch: Vec<Concerned>,
    now: DateTime<Utc>,
) -> Result<Vec<Concerned>, RollOutError> {
    let ids: Vec<Uuid> = batch.iter().map(|concerned| concerned.subscription_id).collect();
    let free = subscriptions::lock_free(conn, &ids).await?;
    // The ids come in their order.
    let (free, locked): (Vec<Concerned>, Vec<Concerned>) =
        batch.into_iter().partition(|it| free.binary_search(&it.subscription_id).is_ok());
    let changes: Vec<Uuid> = free.iter().filter_map(|concerned| concerned.change_id).collect();
    match part {
        Part::TakeBack => {
            price_rollout::settle_all(conn, &changes, ChangeEnd::Withdrawn, false, now).await?;
        }
        Part::EndSuperseded => {
            price_rollout::settle_all(conn, &changes, ChangeEnd::Superseded, false, now).await?;
        }
        Part::EndUnasked => {
            price_rollout::settle_all(conn, &changes, ChangeEnd::Superseded, true, now).await?;
        }
        Part::MakeMissing => {
            // An operator may have withdrawn it since the batch was read.
            if price_rollout::stands(conn, price.id).await? {
                let ids: Vec<Uuid> = free.iter().map(|concerned| concerned.subscription_id).collect();
                price_rollout::insert_changes(conn, price, &ids, Dates::of(seoul_date(now))?, now).await?;
            }
        }
    }
    Ok(locked)
}
