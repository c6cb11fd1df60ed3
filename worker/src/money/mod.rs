//! The money path: commit the intent, call the gateway, commit the outcome. Everything that moves money goes this way.

mod advance;
mod alarm;
mod ask;
mod decline;
mod facts;
pub(crate) mod gate;
mod letters;
mod paid;
mod record;
mod refund;

pub(crate) use advance::advance;
pub(crate) use letters::plan_name;
pub(crate) use refund::advance_refund;
