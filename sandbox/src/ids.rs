//! Random identifiers in the shapes Toss gives them; callers must treat all of them as opaque.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use chrono::{DateTime, Utc};
use rand::RngExt as _;
use rand::distr::{Alphanumeric, SampleString as _};

use crate::clock::in_kst;

#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox takes randomness")]
fn generator() -> impl rand::CryptoRng {
    rand::rng()
}

fn alphanumeric(length: usize) -> String {
    Alphanumeric.sample_string(&mut generator(), length)
}

fn lowercase(length: usize) -> String {
    alphanumeric(length).to_lowercase()
}

/// Five letters of the merchant, the second in Korean time, five random characters.
pub(crate) fn payment_key(at: DateTime<Utc>) -> String {
    format!("tsbox{}{}", in_kst(at).format("%Y%m%d%H%M%S"), alphanumeric(5))
}

pub(crate) fn transaction_key() -> String {
    format!("txrd_a01{}", lowercase(23))
}

/// URL-safe base64 with its `=`, which callers have to cope with in a path.
pub(crate) fn billing_key() -> String {
    let mut bytes = [0_u8; 32];
    generator().fill(&mut bytes);
    URL_SAFE.encode(bytes)
}

pub(crate) fn auth_key() -> String {
    format!("bln_{}", alphanumeric(16))
}

pub(crate) fn payment_secret() -> String {
    format!("ps_{}", alphanumeric(32))
}

pub(crate) fn approve_no() -> String {
    format!("{:08}", generator().random_range(0..100_000_000_u32))
}

pub(crate) fn trace_id() -> String {
    lowercase(32)
}

pub(crate) fn transmission_id() -> String {
    format!("whtrans_a01{}", lowercase(23))
}

/// Fourteen digits, as 우리은행 gives them.
pub(crate) fn account_number() -> String {
    format!("6{:013}", generator().random_range(0..10_000_000_000_000_u64))
}
