//! Waiting for other tasks and processes: a condition is looked at again and again, up to a limit.

use std::time::{Duration, Instant};

/// Generous, for machines that are busy: what tests wait for takes a second or two.
pub const LIMIT: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` sees what it looks for, and returns that.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until `holds` returns true.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    until(what, async || holds().await.then_some(())).await;
}
