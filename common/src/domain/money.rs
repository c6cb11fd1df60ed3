//! Whole won: the only money there is here. No fractions, no other currency, never negative.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt;

use serde::Serialize;

/// Korean won. Toss charges cards in whole won only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Won(i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("an amount of money may not be negative")]
    Negative,
    #[error("the amount is larger than 2,147,483,647 won")]
    TooLarge,
}

impl Won {
    pub const ZERO: Self = Self(0);
    /// Toss refuses card payments below this (`BELOW_MINIMUM_AMOUNT`).
    pub const MIN_CHARGE: Self = Self(100);

    /// Whole won, zero or more.
    pub fn new(won: i64) -> Result<Self, MoneyError> {
        match i32::try_from(won) {
            Ok(small) if small >= 0 => Ok(Self(small)),
            Ok(_) => Err(MoneyError::Negative),
            Err(_) if won < 0 => Err(MoneyError::Negative),
            Err(_) => Err(MoneyError::TooLarge),
        }
    }

    pub const fn get(self) -> i32 {
        self.0
    }

    /// What is left of `self` after `other` is taken away; none if that were less than nothing.
    pub fn less(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).filter(|left| *left >= 0).map(Self)
    }
}

impl fmt::Display for Won {
    /// As a Korean reader expects it: `94,800원`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            let left = digits.len().saturating_sub(i);
            if i > 0 && left.is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        f.write_str("원")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_as_a_korean_reader_expects() {
        let texts = [0, 100, 9_900, 94_800, 1_234_567].map(|won| Won::new(won).unwrap().to_string());
        assert_eq!(texts, ["0원", "100원", "9,900원", "94,800원", "1,234,567원"]);
    }

    proptest! {
        #[test]
        fn no_amount_is_ever_negative_or_rounded(won in any::<i64>()) {
            match Won::new(won) {
                Ok(kept) => prop_assert_eq!(i64::from(kept.get()), won),
                Err(MoneyError::Negative) => prop_assert!(won < 0),
                Err(MoneyError::TooLarge) => prop_assert!(won > i64::from(i32::MAX)),
            }
        }

        #[test]
        fn what_is_taken_and_what_is_left_make_the_whole(a in 0..=i32::MAX, b in 0..=i32::MAX) {
            let (a, b) = (Won(a), Won(b));
            match a.less(b) {
                Some(left) => prop_assert_eq!(left.get().checked_add(b.get()), Some(a.get())),
                None => prop_assert!(b > a),
            }
        }
    }
}
