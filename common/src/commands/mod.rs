//! What people ask of a subscription or a plan, in the caller's transaction: decided by the domain, recorded with its e-mail and event.

pub mod announce_price;
mod begin;
pub mod bulk;
pub mod calendar;
pub mod cancel;
pub mod change_customer;
pub mod change_plan;
pub mod confirm;
pub mod consent;
pub mod dry_run;
pub mod end;
pub mod erase_customer;
pub mod operate;
pub mod receive_webhook;
pub mod refund;
pub mod register_card;
pub mod resend_email;
pub mod resume;
pub mod roll_out_price;
pub mod second_factor;
pub mod settle_change;
pub mod subscribe;
pub mod wake_payment;
