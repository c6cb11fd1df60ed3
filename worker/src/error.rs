//! Why the result of a gateway call could not be recorded.

use common::commands::roll_out_price::RollOutError;
use common::commands::settle_change;
use common::outbox::OutboxError;
use common::queue::QueueError;
use common::store::{StoreError, is_held_up};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    /// Whatever wraps an error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Render(#[from] common::email::RenderError),
    #[error(transparent)]
    Calendar(#[from] common::domain::calendar::OutOfCalendar),
    #[error(transparent)]
    Seal(#[from] common::seal::SealError),
    #[error("the subscription or its invoice vanished")]
    Vanished,
}

impl SettleError {
    /// Whether the same write is refused again whenever it is tried: a bug of ours. Anything else may pass.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Store(error) => error.is_refusal(),
            Self::Render(_) | Self::Calendar(_) | Self::Seal(_) | Self::Vanished => true,
        }
    }

    /// Whether a row that somebody else holds stopped the write.
    pub(crate) fn is_held_up(&self) -> bool {
        match self {
            Self::Store(error) => error.database().is_some_and(is_held_up),
            Self::Render(_) | Self::Calendar(_) | Self::Seal(_) | Self::Vanished => false,
        }
    }
}

impl From<sqlx::Error> for SettleError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<QueueError> for SettleError {
    fn from(error: QueueError) -> Self {
        Self::Store(error.into())
    }
}

impl From<OutboxError> for SettleError {
    fn from(error: OutboxError) -> Self {
        Self::Store(error.into())
    }
}

impl From<RollOutError> for SettleError {
    fn from(error: RollOutError) -> Self {
        match error {
            RollOutError::Store(error) => error.into(),
            RollOutError::Calendar(error) => error.into(),
        }
    }
}

impl From<settle_change::SettleError> for SettleError {
    fn from(error: settle_change::SettleError) -> Self {
        match error {
            settle_change::SettleError::Store(error) => error.into(),
            settle_change::SettleError::Outbox(error) => error.into(),
            settle_change::SettleError::Render(error) => error.into(),
            settle_change::SettleError::Calendar(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_refuses_no_write_however_it_is_wrapped() {
        let away = || QueueError::Database(sqlx::Error::PoolTimedOut);
        let silent = || QueueError::NoAnswer(Duration::from_secs(1));
        for error in [
            SettleError::from(sqlx::Error::PoolTimedOut),
            away().into(),
            silent().into(),
            StoreError::Queue(away()).into(),
            StoreError::Queue(silent()).into(),
            OutboxError::Store(StoreError::Queue(away())).into(),
            OutboxError::Queue(silent()).into(),
        ] {
            assert!(!error.is_refusal(), "{error:?}");
        }
        assert!(SettleError::from(QueueError::LeaseLost(1)).is_refusal());
    }
}
