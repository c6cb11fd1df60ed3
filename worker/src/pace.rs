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
            let now = Instant::now();
            let mine = next.map_or(now, |next| next.max(now));
            *next = mine.checked_add(self.every);
            mine
        };
        tokio::time::sleep_until(mine).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn eleven_calls_at_ten_a_second_take_one_second() {
        let (pace, start) = (Pace::new(10), Instant::now());
        for _ in 0..11 {
            pace.turn().await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }
}
