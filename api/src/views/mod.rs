//! What callers see of plans, subscriptions and payments.

mod payment;
mod pending_change;
mod plan;
mod refund;
mod subscription;

pub(crate) use payment::PaymentView;
pub(crate) use pending_change::PendingChangeView;
pub(crate) use plan::PlanView;
pub(crate) use refund::RefundView;
pub(crate) use subscription::{NextAction, SubscriptionView, next_action};
