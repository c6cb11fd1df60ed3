//! Statements of the queue's own that must not be given up: retried with backoff for as long as the database is away.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};

use crate::error::QueueError;

/// 100 ms, doubling up to 5 s, with jitter so that processes do not come back in step.
pub(crate) fn pauses() -> ExponentialBackoff {
    pauses_up_to(Duration::from_secs(5))
}

/// 100 ms, doubling up to `longest`, with jitter.
pub(crate) fn pauses_up_to(longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter()
        .build()
}

/// Gives up after `limit`: a server that vanished without closing the connection would be waited for without end.
pub(crate) async fn with_timeout<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    tokio::time::timeout(limit, statement).await.unwrap_or(Err(QueueError::NoAnswer(limit)))
}

/// Writes until it is written, or would never be. Written twice, the second is fenced out.
pub(crate) async fn until_written<T, F, Fut>(
    what: &'static str,
    limit: Duration,
    mut write: F,
) -> Result<T, QueueError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, QueueError>>,
{
    (|| with_timeout(limit, write()))
        .retry(pauses())
        .when(|error: &QueueError| !error.is_permanent())
        .notify(|error: &QueueError, pause: Duration| {
            tracing::warn!(error = %error, pause_ms = pause.as_millis(), "the database is away: {what} waits");
        })
        .await
}
