//! The only source of randomness: one seed gives one sequence.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub(crate) struct SeededRng(StdRng);

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Returns true with this chance in percent.
    pub(crate) fn percent(&mut self, chance: f64) -> bool {
        self.0.random_bool((chance / 100.0).clamp(0.0, 1.0))
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())].clone()
    }

    /// Returns one item, each as often as its weight says.
    pub(crate) fn weighted<T: Clone>(&mut self, from: &[(u32, T)]) -> T {
        let mut left = self.0.random_range(0..from.iter().map(|(weight, _)| weight).sum::<u32>());
        for (weight, item) in from {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return item.clone(),
            }
        }
        from[0].1.clone()
    }
}
