//! One file per endpoint, named after what it does.

pub(crate) mod cancel_subscription;
pub(crate) mod change_plan;
pub(crate) mod confirm_payment;
pub(crate) mod confirmation_status;
pub(crate) mod docs;
pub(crate) mod end_subscription;
pub(crate) mod give_consent;
pub(crate) mod health;
pub(crate) mod list_payments;
pub(crate) mod list_plans;
pub(crate) mod list_subscriptions;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod payment_method_status;
pub(crate) mod receive_webhook;
pub(crate) mod refund_payment;
pub(crate) mod register_card;
pub(crate) mod resume_subscription;
pub(crate) mod show_subscription;
pub(crate) mod start_scan;
pub(crate) mod subscribe;
