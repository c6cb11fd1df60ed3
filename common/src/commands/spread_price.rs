//! The plan changes that follow from a new price: made, moved and taken back until every subscription has what it should.
//!
//! Can die after any batch and go on, and run twice at once: what is there stays, what is missing is made. Whoever comes
//! to pay an old price later (begun, resumed, brought over, a wish come true) is found by the next run.

use chrono::{DateTime, Days, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{
        calendar::{OutOfCalendar, seoul_date},
        plan_change::{ChangeEnd, PlanChange, Terms},
        price_change::{MIN_DAYS_TO_ANSWER, PriceChange, Standing, follows_now},
    },
    id::new_id,
    store::{
        StoreError, price_changes,
        price_followers::{self, Follower},
    },
};

const BATCH: i64 = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum SpreadError {
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
pub async fn spread_price(
    conn: &mut PgConnection,
    price: &PriceChange,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<Next, SpreadError> {
    let next = match price.standing(seoul_date(now)) {
        Standing::Withdrawn => {
            let taken_back = price_followers::lock_pending(conn, price.id, BATCH).await?;
            price_followers::settle_all(conn, &taken_back, ChangeEnd::Withdrawn, false, now).await?;
            if is_full(&taken_back) { Next::After(after) } else { Next::Done }
        }
        // What it is due before the one that took its place comes; the rest is that one's.
        Standing::Followed => Next::Done,
        Standing::Announced | Standing::InForce => {
            if make_room(conn, price, now).await? {
                Next::After(after)
            } else {
                make_missing(conn, price, after, now).await?
            }
        }
    };
    if next == Next::Done {
        price_changes::mark_spread(conn, price, now).await?;
    }
    Ok(next)
}

fn is_full(batch: &[Uuid]) -> bool {
    i64::try_from(batch.len()).is_ok_and(|len| len >= BATCH)
}

/// Ends what stands in the way: changes to an earlier price that this one overtakes, and those whose customers would be
/// ended without ever having been asked (nothing ran, no mail went out, a wish was taken back at the last moment).
/// Answers whether there may be more.
async fn make_room(
    conn: &mut PgConnection,
    price: &PriceChange,
    now: DateTime<Utc>,
) -> Result<bool, SpreadError> {
    let overtaken = price_followers::lock_overtaken(conn, price, BATCH).await?;
    price_followers::settle_all(conn, &overtaken, ChangeEnd::Superseded, false, now).await?;
    let until = seoul_date(now).checked_add_days(Days::new(MIN_DAYS_TO_ANSWER)).ok_or(OutOfCalendar)?;
    let unasked = price_followers::lock_unasked(conn, price.id, until, BATCH).await?;
    price_followers::settle_all(conn, &unasked, ChangeEnd::Superseded, true, now).await?;
    Ok(is_full(&overtaken) || is_full(&unasked))
}

async fn make_missing(
    conn: &mut PgConnection,
    price: &PriceChange,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<Next, SpreadError> {
    let amounts = price_changes::old_amounts(conn, price).await?;
    let batch = price_followers::lock_batch(conn, price, &amounts, after, BATCH).await?;
    let mut changes = Vec::with_capacity(batch.len());
    // Read after the locks were taken: what was billed meanwhile counts.
    for follower in price_followers::of_ids(conn, &batch).await? {
        if follows_now(follower.status) {
            changes.push(change(price, &follower, now)?);
        }
    }
    price_followers::insert_missing(conn, &changes, now).await?;
    Ok(match batch.last() {
        Some(last) if is_full(&batch) => Next::After(*last),
        Some(_) | None => Next::Done,
    })
}

fn change(price: &PriceChange, follower: &Follower, now: DateTime<Utc>) -> Result<PlanChange, OutOfCalendar> {
    let period = price.reaches(follower.rhythm, follower.last_no, follower.pays, seoul_date(now))?;
    let terms = |amount| Terms { plan: price.plan.clone(), cycle: price.cycle, amount };
    Ok(PlanChange {
        id: new_id(now),
        subscription_id: follower.subscription_id,
        price_change_id: Some(price.id),
        from: terms(follower.pays),
        to: terms(price.new),
        effective_no: period.no,
        effective_on: period.start,
        requested_by: price.requested_by.clone(),
        consent: None,
    })
}
