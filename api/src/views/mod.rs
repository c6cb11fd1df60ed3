//! What callers see of subscriptions, payments and refunds.

mod payment;
mod subscription;

pub(crate) use payment::{PaymentView, RefundView};
pub(crate) use subscription::{NextAction, PendingChangeView, SubscriptionView, next_action};
