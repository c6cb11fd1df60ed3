//! The Toss core API (`/v1/*`): one pipeline, one file per call.

mod admit;
mod cancel;
mod charge;
mod confirm;
mod delete_billing_key;
mod execute;
mod fields;
mod issue;
mod lookup;
mod pipeline;
mod route;
mod transactions;
mod wire;

pub(crate) use cancel::cancel;
pub(crate) use fields::is_order_id;
pub(crate) use pipeline::serve;

use crate::refusal::{Language, Refusal};

/// A finished answer: status and the exact body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    fn refusing(refusal: &Refusal, language: Language) -> Self {
        Self { status: refusal.status, body: refusal.body(language) }
    }
}
