//! Keeps what took long to read for a minute, so that a page of a large installation answers at once. What is read fast is
//! always fresh.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const IS_SLOW: Duration = Duration::from_millis(50);
const KEPT_FOR: Duration = Duration::from_mins(1);
/// More than an operator looks at within a minute.
const MAX_KEPT: usize = 24;

/// Sums over many rows, by what they were asked for.
pub(crate) struct SlowReads<K, T>(Mutex<Vec<Kept<K, T>>>);

struct Kept<K, T> {
    key: K,
    read_at: Instant,
    value: Arc<T>,
}

impl<K, T> Default for SlowReads<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, T> SlowReads<K, T> {
    /// Returns what is kept under `key`. Awaits `read` where nothing is.
    pub(super) async fn get<E>(&self, key: K, read: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let started = Instant::now();
        if let Some(value) = self.kept(&key, started) {
            return Ok(value);
        }
        let value = Arc::new(read.await?);
        let read_at = Instant::now();
        if read_at.saturating_duration_since(started) >= IS_SLOW {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|kept| kept.key != key);
            if kept.len() == MAX_KEPT {
                kept.remove(0);
            }
            kept.push(Kept { key, read_at, value: Arc::clone(&value) });
        }
        Ok(value)
    }

    fn kept(&self, key: &K, now: Instant) -> Option<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| now.saturating_duration_since(kept.read_at) < KEPT_FOR);
        kept.iter().find(|kept| kept.key == *key).map(|kept| Arc::clone(&kept.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(reads: &SlowReads<u8, u32>, value: u32, takes: Duration) -> u32 {
        let slowly = async {
            std::thread::sleep(takes);
            Ok::<_, ()>(value)
        };
        *reads.get(1, slowly).await.unwrap()
    }

    #[tokio::test]
    async fn only_what_was_read_slowly_is_kept() {
        let reads = SlowReads::default();
        assert_eq!(read(&reads, 1, Duration::ZERO).await, 1);
        assert_eq!(read(&reads, 2, IS_SLOW).await, 2);
        assert_eq!(read(&reads, 3, Duration::ZERO).await, 2);
    }
}
