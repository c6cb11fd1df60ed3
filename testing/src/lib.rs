//! Support that the tests of several crates share: waiting, free ports and signed-in customers.
//!
//! Each function panics where a test has to fail.
#![expect(clippy::expect_used, reason = "a failure here is a failure of the test that calls")]

mod address;
mod customer;
mod wait;

pub use address::free_address;
pub use customer::{AUTH_JWT_SECRET, FAR, customer_id, customer_token, token};
pub use wait::{LIMIT, eventually, until};
