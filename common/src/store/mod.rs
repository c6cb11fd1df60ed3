//! The only SQL of billing. Functions take the caller's connection, check the rows they touched, and never commit.

pub mod action_targets;
pub mod billing_key_deletions;
pub mod bulk_actions;
pub mod calendar;
pub mod charge_facts;
mod columns;
mod connection;
pub mod consents;
pub mod console;
pub mod discrepancies;
pub mod doctor;
pub mod emails;
pub mod erasures;
pub mod events;
pub mod gate;
pub mod imports;
pub mod invoices;
pub mod legacy_database;
pub mod login_failures;
pub mod operator_actions;
pub mod operator_sessions;
pub mod operator_totp;
pub mod operators;
pub mod payment_claims;
pub mod payments;
pub mod plan_changes;
pub mod plans;
pub mod price_changes;
pub mod price_rollout;
pub mod read_backs;
pub mod reconcile;
pub mod refunds;
pub mod registrations;
pub mod renewals;
pub mod scan;
pub mod settings;
mod sqlstate;
pub mod subscription_history;
pub mod subscriptions;
pub mod sweep;
pub mod users;
pub mod virtual_accounts;
pub mod webhook_deliveries;
pub mod webhooks;

use queue::QueueError;
use sqlx::{PgConnection, postgres::PgQueryResult};

pub use connection::{
    NotReady, address, log_readiness, migrate, pending_migrations, pool, readiness, with_session,
};

/// Announces a settled payment by its order id, for whoever waits to answer its customer.
pub const SETTLED_CHANNEL: &str = "payment_settled";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(sqlx::Error),
    #[error(transparent)]
    Queue(QueueError),
    #[error("{table}.{column} holds {value:?}, which this version does not know")]
    Inconsistent { table: &'static str, column: &'static str, value: String },
    #[error("{what}: expected to touch one row, touched {touched}")]
    WrongRowCount { what: &'static str, touched: u64 },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        note_unfit_sessions(&error);
        Self::Database(error)
    }
}

impl From<QueueError> for StoreError {
    fn from(error: QueueError) -> Self {
        if let Some(error) = error.database() {
            note_unfit_sessions(error);
        }
        Self::Queue(error)
    }
}

/// How often sessions were found unfit in this process: by a changed table, a failover, a cut connection. Where this has
/// moved, what failed meanwhile may succeed on a new session.
pub fn sessions_found_unfit() -> u64 {
    sqlstate::found_unfit()
}

fn note_unfit_sessions(error: &sqlx::Error) {
    let is_unfit = match error {
        // What cut one connection has mostly cut the others, too.
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| sqlstate::means_unfit(&code)),
        _ => false,
    };
    if is_unfit {
        sqlstate::mark_sessions_unfit();
    }
}

// Every error that wraps one of the database becomes a `StoreError`, or is asked through one: the lists below are the only ones.
impl StoreError {
    /// The error of the database, however it is wrapped.
    pub fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Queue(error) => error.database(),
            Self::Inconsistent { .. } | Self::WrongRowCount { .. } => None,
        }
    }

    /// The database could not be reached, broke off or gave no answer: nothing is wrong with what was asked.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Queue(QueueError::NoAnswer(_)) => true,
            other => other.database().is_some_and(database_is_away),
        }
    }

    /// Whether the same write is refused again whenever it is tried: a bug of ours. Anything else may pass.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Queue(QueueError::NoAnswer(_)) => false,
            other => other.database().is_none_or(is_refused),
        }
    }

    /// The named constraint that refused the write, if one did.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            Self::Database(_) | Self::Queue(_) | Self::Inconsistent { .. } | Self::WrongRowCount { .. } => {
                None
            }
        }
    }
}

/// Whether an error means that the database cannot do this now, rather than that the statement is wrong. The same statement
/// may succeed a moment later, on another connection.
pub fn database_is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| sqlstate::means_not_now(&code)),
        _ => false,
    }
}

/// Whether the same write is refused again whenever it is tried. Every other error may pass, whatever its SQLSTATE.
fn is_refused(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| sqlstate::means_refused(&code)),
        _ => false,
    }
}

/// Whether a row that somebody else holds, or too many rows at once, stopped the statement.
pub fn is_held_up(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| sqlstate::means_held_up(&code)),
        _ => false,
    }
}

/// Tells whoever waits for this order that its payment has settled. It arrives with the commit.
pub async fn announce_settled(conn: &mut PgConnection, order_id: &str) -> Result<(), StoreError> {
    sqlx::query_scalar!("select announce($1, $2)", SETTLED_CHANNEL, order_id).fetch_one(conn).await?;
    Ok(())
}

fn one_row(what: &'static str, result: &PgQueryResult) -> Result<(), StoreError> {
    match result.rows_affected() {
        1 => Ok(()),
        touched => Err(StoreError::WrongRowCount { what, touched }),
    }
}

fn known<T: std::str::FromStr>(
    table: &'static str,
    column: &'static str,
    value: &str,
) -> Result<T, StoreError> {
    value.parse().map_err(|_| StoreError::Inconsistent { table, column, value: value.to_owned() })
}

fn counted(table: &'static str, column: &'static str, value: i32) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Inconsistent { table, column, value: value.to_string() })
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfit_session_is_noted_however_it_is_wrapped() {
        let cut = || sqlx::Error::WorkerCrashed;
        let wrapped: [fn(sqlx::Error) -> StoreError; 2] =
            [StoreError::from, |error| QueueError::from(error).into()];
        for wrap in wrapped {
            let before = sessions_found_unfit();
            assert!(wrap(cut()).is_unavailable());
            assert!(sessions_found_unfit() > before);
        }
    }
}
