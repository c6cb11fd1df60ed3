//! Why the result of a gateway call could not be recorded.

use common::{
    outbox::OutboxError,
    queue::QueueError,
    store::{StoreError, database_is_away},
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
    #[error("the subscription or its invoice vanished")]
    Vanished,
}

impl SettleError {
    /// Whether the database could not be reached: the same write succeeds once it is back.
    pub(crate) fn database_is_away(&self) -> bool {
        match self {
            Self::Store(error) | Self::Outbox(OutboxError::Store(error)) => error.is_unavailable(),
            Self::Database(error)
            | Self::Queue(QueueError::Database(error))
            | Self::Outbox(OutboxError::Queue(QueueError::Database(error))) => database_is_away(error),
            Self::Queue(_) | Self::Outbox(_) | Self::Render(_) | Self::Calendar(_) | Self::Vanished => false,
        }
    }
}
