//! Waiting times and their percentiles.

use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    pub(super) fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The longest; 0 without samples.
    pub(super) fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    /// The smallest sample that so many per cent do not exceed, in milliseconds; 0 without samples.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = sorted.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_samples_are_at_or_below_the_median() {
        let mut samples = Samples::default();
        (1..=100).rev().for_each(|ms| samples.add(Duration::from_millis(ms)));
        let at = |percent| samples.percentile_ms(percent).round();
        assert_eq!([at(50), at(99), at(100)].map(|ms| format!("{ms}")), ["50", "99", "100"]);
        assert!(Samples::default().percentile_ms(50) < f64::EPSILON);
    }
}
