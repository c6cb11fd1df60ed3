//! Why a command failed, in one line, and the exit code that says of which kind the failure is.

use common::commands::announce_price::{AnnounceError, WithdrawError};
use common::commands::roll_out_price::RollOutError;
use common::config::Mistakes;
use common::id::subscription_ref;
use common::queue::QueueError;
use common::store::{StoreError, database_is_away};
use sqlx::migrate::MigrateError;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The request makes no sense, whatever the database holds.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Configuration(Mistakes),
    #[error("{0}")]
    NotFound(String),
    /// The request makes sense, but not in the present state.
    #[error("{0}")]
    Refused(String),
    /// The command found faults: `report` belongs on standard output, `message` on standard error.
    #[error("{message}")]
    Reported { code: &'static str, report: String, message: String },
    #[error("the database at {place} does not answer: {why}")]
    Away { place: String, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
    #[error("the answer could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<sqlx::Error> for OpsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(StoreError::Database(error))
    }
}

impl From<AnnounceError> for OpsError {
    fn from(error: AnnounceError) -> Self {
        match error {
            AnnounceError::Store(error) => Self::Store(error),
            AnnounceError::UnknownPlan(code) => Self::NotFound(format!("there is no plan {code}")),
            error @ AnnounceError::Refused(_) => Self::Usage(error.to_string()),
            error @ (AnnounceError::AnotherIsToCome(_) | AnnounceError::NotThePlansPrice(_)) => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl From<WithdrawError> for OpsError {
    fn from(error: WithdrawError) -> Self {
        match error {
            WithdrawError::Store(error) => Self::Store(error),
            error @ WithdrawError::NotFound(_) => Self::NotFound(error.to_string()),
            error @ WithdrawError::Refused(_) => Self::Refused(error.to_string()),
        }
    }
}

impl From<RollOutError> for OpsError {
    fn from(error: RollOutError) -> Self {
        match error {
            RollOutError::Store(error) => Self::Store(error),
            error @ RollOutError::Calendar(_) => Self::Refused(error.to_string()),
        }
    }
}

impl OpsError {
    /// 2: usage or configuration. 1: everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Configuration(_) | Self::Reported { code: "configuration", .. } => 2,
            Self::NotFound(_)
            | Self::Refused(_)
            | Self::Reported { .. }
            | Self::Away { .. }
            | Self::Store(_)
            | Self::Queue(_)
            | Self::Migrate(_)
            | Self::Json(_) => 1,
        }
    }

    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Configuration(_) => "configuration",
            Self::NotFound(_) | Self::Queue(QueueError::NotFound(_)) => "not_found",
            Self::Refused(_) | Self::Queue(QueueError::WrongState { .. }) => "refused",
            Self::Reported { code, .. } => code,
            Self::Away { .. } => "database_away",
            Self::Store(_) | Self::Queue(_) | Self::Migrate(_) => match self.database_state() {
                DatabaseState::Away => "database_away",
                DatabaseState::OfAnotherSchema => "schema_missing",
                DatabaseState::Fine if matches!(self, Self::Migrate(_)) => "migration_failed",
                DatabaseState::Fine => "failed",
            },
            Self::Json(_) => "failed",
        }
    }

    /// One line that says what to do, where that is known.
    pub fn line(&self) -> String {
        match self.database_state() {
            DatabaseState::Away => format!("the database broke off: {self}"),
            DatabaseState::OfAnotherSchema => {
                format!("the database has not the schema of this program: run `billing migrate` ({self})")
            }
            DatabaseState::Fine => self.to_string(),
        }
    }

    fn database_state(&self) -> DatabaseState {
        let (is_away, error) = match self {
            Self::Store(error) => (error.is_unavailable(), error.database()),
            Self::Queue(error) => {
                let is_silent = matches!(error, QueueError::NoAnswer(_));
                (is_silent || error.database().is_some_and(database_is_away), error.database())
            }
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                // An undefined table within a migration is the migration's fault.
                (database_is_away(error), None)
            }
            Self::Usage(_)
            | Self::Configuration(_)
            | Self::NotFound(_)
            | Self::Refused(_)
            | Self::Reported { .. }
            | Self::Away { .. }
            | Self::Migrate(_)
            | Self::Json(_) => (false, None),
        };
        match error {
            _ if is_away => DatabaseState::Away,
            Some(error) if is_of_another_schema(error) => DatabaseState::OfAnotherSchema,
            Some(_) | None => DatabaseState::Fine,
        }
    }
}

/// What an error says about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatabaseState {
    Away,
    OfAnotherSchema,
    Fine,
}

/// Undefined table or column.
fn is_of_another_schema(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["42P01", "42703"].contains(&code.as_ref()))
}

pub(crate) fn no_subscription(id: Uuid) -> OpsError {
    OpsError::NotFound(format!("there is no subscription {}", subscription_ref(id)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_told_as_one_however_it_is_wrapped() {
        let away = || QueueError::Database(sqlx::Error::PoolTimedOut);
        let silent = || QueueError::NoAnswer(Duration::from_secs(1));
        for error in [
            OpsError::from(sqlx::Error::PoolTimedOut),
            away().into(),
            silent().into(),
            StoreError::Queue(away()).into(),
            StoreError::Queue(silent()).into(),
            MigrateError::Execute(sqlx::Error::PoolTimedOut).into(),
        ] {
            assert_eq!(error.code(), "database_away", "{error}");
            assert!(error.line().starts_with("the database broke off"), "{}", error.line());
        }
    }
}
