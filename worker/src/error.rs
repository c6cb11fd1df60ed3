//! Why the result of a gateway call could not be recorded.

use common::{
    commands::{roll_out_price::RollOutError, settle_change},
    outbox::OutboxError,
    queue::QueueError,
    store::{StoreError, is_held_up, is_refused},
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
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
        if let Some(error) = self.database_error() {
            return is_refused(error);
        }
        match self {
            Self::Queue(QueueError::NoAnswer(_))
            | Self::Outbox(OutboxError::Queue(QueueError::NoAnswer(_))) => false,
            Self::Store(_)
            | Self::Database(_)
            | Self::Queue(_)
            | Self::Outbox(_)
            | Self::Render(_)
            | Self::Calendar(_)
            | Self::Seal(_)
            | Self::Vanished => true,
        }
    }

    /// Whether a row that somebody else holds stopped the write.
    pub(crate) fn is_held_up(&self) -> bool {
        self.database_error().is_some_and(is_held_up)
    }

    fn database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Store(StoreError::Database(error))
            | Self::Database(error)
            | Self::Queue(QueueError::Database(error))
            | Self::Outbox(
                OutboxError::Store(StoreError::Database(error))
                | OutboxError::Queue(QueueError::Database(error)),
            ) => Some(error),
            _ => None,
        }
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
