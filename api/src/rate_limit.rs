//! How often one user, or one address, may do something: counted per minute, in this process only.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_mins(1);
/// Keys remembered at once; further ones share one count, so that memory stays bounded.
const MAX_KEYS: usize = 100_000;

pub(crate) struct RateLimit<K> {
    max: u32,
    window: Mutex<Window<K>>,
}

struct Window<K> {
    began: Instant,
    counts: HashMap<K, u32>,
    seen: HashSet<(K, String)>,
    overflow: u32,
}

impl<K: Copy + Eq + Hash> RateLimit<K> {
    pub(crate) fn per_minute(max: u32) -> Self {
        Self { max, window: Mutex::new(Window::new(Instant::now())) }
    }

    /// Counts one request of `key`. Returns how long to wait when there were too many.
    pub(crate) fn check(&self, key: K, at: Instant) -> Result<(), Duration> {
        self.current_window(at).count(key, self.max, at)
    }

    /// As [`Self::check`], but a request for an `item` that was counted in this minute is free.
    pub(crate) fn check_distinct(&self, key: K, item: &str, at: Instant) -> Result<(), Duration> {
        let mut window = self.current_window(at);
        let seen = (key, item.to_owned());
        if window.seen.contains(&seen) {
            return Ok(());
        }
        window.count(key, self.max, at)?;
        window.seen.insert(seen);
        Ok(())
    }

    fn current_window(&self, at: Instant) -> MutexGuard<'_, Window<K>> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if at.saturating_duration_since(window.began) >= WINDOW {
            *window = Window::new(at);
        }
        window
    }
}

impl<K: Eq + Hash> Window<K> {
    fn new(began: Instant) -> Self {
        Self { began, counts: HashMap::new(), seen: HashSet::new(), overflow: 0 }
    }

    fn count(&mut self, key: K, max: u32, at: Instant) -> Result<(), Duration> {
        let is_full = self.counts.len() >= MAX_KEYS && !self.counts.contains_key(&key);
        let count = if is_full { &mut self.overflow } else { self.counts.entry(key).or_default() };
        if *count >= max {
            return Err((self.began + WINDOW).saturating_duration_since(at));
        }
        *count = count.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_over_the_limit_waits_and_holds_up_nobody_else() {
        let limit = RateLimit::per_minute(2);
        let start = Instant::now();
        assert_eq!(limit.check("first", start), Ok(()));
        assert_eq!(limit.check("first", start), Ok(()));
        assert!(limit.check("first", start).unwrap_err() <= WINDOW);
        assert_eq!(limit.check("second", start), Ok(()));
        assert_eq!(limit.check("first", start + WINDOW * 2), Ok(()));
    }

    #[test]
    fn the_same_item_again_is_free() {
        let limit = RateLimit::per_minute(1);
        let start = Instant::now();
        assert_eq!(limit.check_distinct("user", "order 1", start), Ok(()));
        assert_eq!(limit.check_distinct("user", "order 1", start), Ok(()));
        assert!(limit.check_distinct("user", "order 2", start).is_err());
        assert_eq!(limit.check_distinct("another user", "order 1", start), Ok(()));
    }

    #[test]
    fn a_flood_of_new_keys_shares_one_count() {
        let limit = RateLimit::per_minute(1);
        let start = Instant::now();
        for key in 0..MAX_KEYS {
            assert_eq!(limit.check(key, start), Ok(()));
        }
        assert_eq!(limit.check(MAX_KEYS, start), Ok(()));
        assert!(limit.check(MAX_KEYS + 1, start).is_err());
    }
}
