//! Waiting for other processes: a condition is looked at again and again, up to a limit.

use std::time::{Duration, Instant};

/// Generous, for machines that are busy: what is waited for takes a second or two.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(30);

/// Waits until `look` sees what it looks for.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
