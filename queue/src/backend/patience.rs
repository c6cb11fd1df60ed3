//! Waiting for a database that is away: backoff without end, because what is in hand must not be dropped.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};

use crate::error::QueueError;

/// 100 ms, doubling up to 5 s, with jitter so that processes do not come back in step.
pub(crate) fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter()
        .build()
}

/// A server that vanished without closing the connection would be waited for without end. Its connection goes back to
/// the pool, where TCP gives it up when the next byte is not confirmed.
pub(crate) async fn answered<T>(
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
    (|| answered(limit, write()))
        .retry(waits())
        .when(|error: &QueueError| !error.is_permanent())
        .notify(|error: &QueueError, wait: Duration| {
            tracing::warn!(error = %error, wait_ms = wait.as_millis(), "the database is away: {what} waits");
        })
        .await
}
