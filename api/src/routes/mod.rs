//! One file per endpoint: its request type, its answer, and what it does.

pub(crate) mod cancel_subscription;
pub(crate) mod change_customer;
pub(crate) mod change_plan;
pub(crate) mod confirm_payment;
pub(crate) mod docs;
pub(crate) mod end_subscription;
pub(crate) mod give_consent;
pub(crate) mod list_payments;
pub(crate) mod list_plans;
pub(crate) mod operations;
pub(crate) mod payment_method;
pub(crate) mod receive_webhook;
pub(crate) mod refund_payment;
pub(crate) mod resume_subscription;
pub(crate) mod start_scan;
pub(crate) mod subscribe;
pub(crate) mod subscriptions;
