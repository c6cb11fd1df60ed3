//! A token bucket before Toss: this process asks no faster than `TOSS_MAX_RPS`.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// Lets calls through at an even pace, in the order in which they come.
pub struct Pace {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(per_second: u32) -> Self {
        Self { every: Duration::from_secs(1) / per_second.max(1), next: Mutex::new(None) }
    }

    /// Waits for a turn. Nothing is held meanwhile: called before the intent, never inside a transaction.
    pub async fn turn(&self) {
        let mine = {
            let mut next = self.next.lock().await;
            let mine = turn_after(*next, Instant::now());
            *next = mine.checked_add(self.every);
            mine
        };
        tokio::time::sleep_until(mine).await;
    }
}

/// The turn that is free next, or now if nobody waits.
fn turn_after(next: Option<Instant>, now: Instant) -> Instant {
    next.map_or(now, |next| next.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_evenly_spaced_and_a_pause_saves_none_up() {
        let (start, every) = (Instant::now(), Duration::from_millis(100));
        let first = turn_after(None, start);
        let second = turn_after(first.checked_add(every), start);
        assert_eq!((first, second), (start, start + every));
        let late = start + Duration::from_mins(1);
        assert_eq!(turn_after(second.checked_add(every), late), late);
    }
}
