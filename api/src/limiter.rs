//! How often one user may confirm: counted per minute, in this process only.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

const WINDOW: Duration = Duration::from_mins(1);

pub(crate) struct Limiter {
    most: u32,
    window: Mutex<Window>,
}

struct Window {
    began: Instant,
    counts: HashMap<Uuid, u32>,
}

impl Limiter {
    pub(crate) fn per_minute(most: u32) -> Self {
        Self { most, window: Mutex::new(Window { began: Instant::now(), counts: HashMap::new() }) }
    }

    /// Counts one request; where there were too many, how long to wait.
    pub(crate) fn admit(&self, user: Uuid, at: Instant) -> Result<(), Duration> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if at.saturating_duration_since(window.began) >= WINDOW {
            *window = Window { began: at, counts: HashMap::new() };
        }
        let ends = window.began + WINDOW;
        let count = window.counts.entry(user).or_default();
        if *count >= self.most {
            return Err(ends.saturating_duration_since(at));
        }
        *count = count.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_over_the_limit_waits_for_the_next_minute_and_holds_nobody_else_up() {
        let limiter = Limiter::per_minute(2);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let start = Instant::now();
        assert_eq!(limiter.admit(one, start), Ok(()));
        assert_eq!(limiter.admit(one, start), Ok(()));
        assert!(limiter.admit(one, start).unwrap_err() <= WINDOW);
        assert_eq!(limiter.admit(other, start), Ok(()));
        assert_eq!(limiter.admit(one, start + WINDOW * 2), Ok(()));
    }
}
