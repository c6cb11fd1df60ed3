//! What stands between a job and Toss: the circuit breaker, the rate limit, and which account a payment belongs to.

pub(crate) mod answer;
pub(crate) mod health;
pub(crate) mod known_merchants;
pub(crate) mod merchant;
pub mod rate_limiter;
pub(crate) mod reads;
