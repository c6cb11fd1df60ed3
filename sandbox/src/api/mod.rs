//! The Toss core API (`/v1/*`): one pipeline, one file per call.

mod admission;
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

pub(crate) use pipeline::serve;
