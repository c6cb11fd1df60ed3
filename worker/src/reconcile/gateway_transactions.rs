//! Reads a day of Toss's ledger, of both accounts, page by page.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Asia::Seoul;
use common::domain::reconcile::{Movement, Theirs};
use common::store::StoreError;
use common::store::gate::Lane;
use toss::{Account, GatewayPaymentStatus, Transaction, TransactionsQuery, Why};

use crate::env::Env;

/// Asked for before and after the day: whether its last instant belongs to the range is not documented, and clocks differ.
const MARGIN: TimeDelta = TimeDelta::hours(1);

/// Why the ledger could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("{:?}: {}", .0.kind, .0.message)]
    Toss(Box<Why>),
    #[error("a page of Toss's ledger led back to one before it")]
    Circular,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every approval and cancel from an hour before `from` to an hour after `until`, each once, `page` rows at a time.
pub(crate) async fn read_gateway_transactions(
    env: &Env,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    page: u16,
) -> Result<Vec<Theirs>, LedgerError> {
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    // With one key for both accounts everything is listed twice.
    for account in [Account::Billing, Account::Widget] {
        let query = TransactionsQuery {
            start: civil(from - MARGIN),
            end: civil(until + MARGIN),
            starting_after: None,
            limit: Some(page),
        };
        let mut pages = env.toss.transaction_pages(account, query);
        let mut cursors = HashSet::new();
        loop {
            env.rate_limiter.acquire(&env.pool, Lane::LookUp).await?;
            let page = match pages.next_page().await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(why) => {
                    env.rate_limiter.put_off(&env.pool, why.retry_after).await;
                    return Err(LedgerError::Toss(Box::new(why)));
                }
            };
            let cursor = page.transactions.last().map(|row| row.transaction_key.clone());
            if !cursor.is_none_or(|cursor| cursors.insert(cursor)) {
                return Err(LedgerError::Circular);
            }
            let new = page.transactions.into_iter().filter(|row| seen.insert(row.transaction_key.clone()));
            rows.extend(new.filter_map(read));
        }
    }
    Ok(rows)
}

/// A row that moved money. Whether a cancel's amount is negative is not documented: either is taken for a cancel.
fn read(row: Transaction) -> Option<Theirs> {
    let movement = match &row.status {
        GatewayPaymentStatus::Done if row.amount >= 0 => Movement::Capture,
        GatewayPaymentStatus::Done
        | GatewayPaymentStatus::Canceled
        | GatewayPaymentStatus::PartialCanceled => Movement::Refund,
        GatewayPaymentStatus::Ready
        | GatewayPaymentStatus::InProgress
        | GatewayPaymentStatus::WaitingForDeposit
        | GatewayPaymentStatus::Aborted
        | GatewayPaymentStatus::Expired
        | GatewayPaymentStatus::Other(_) => return None,
    };
    Some(Theirs {
        movement,
        transaction_key: row.transaction_key,
        payment_key: row.payment_key,
        order_id: row.order_id,
        amount: row.amount.saturating_abs(),
        at: row.transaction_at.map(|at| at.with_timezone(&Utc)),
    })
}

/// Toss takes Korean time, without an offset.
fn civil(at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&Seoul).naive_local()
}
