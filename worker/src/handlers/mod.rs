//! One file per job: what it does when it runs, however often it runs.

mod charge_subscription;
mod confirm_payment;
mod consent_requests;
mod delete_billing_key;
mod deliver_event;
mod end_incomplete_subscription;
mod handle_webhook;
mod issue_billing_key;
mod reconcile_payments;
mod refund_payment;
mod scan_due_subscriptions;
mod send_email;
mod send_renewal_notices;
mod settle_changes;
mod spread_prices;

pub(crate) use charge_subscription::charge_subscription;
pub(crate) use confirm_payment::confirm_payment;
pub(crate) use delete_billing_key::delete_billing_key;
pub(crate) use deliver_event::deliver_event;
pub(crate) use end_incomplete_subscription::end_incomplete_subscription;
pub(crate) use handle_webhook::handle_webhook;
pub(crate) use issue_billing_key::issue_billing_key;
pub(crate) use reconcile_payments::reconcile_payments;
pub(crate) use refund_payment::refund_payment;
pub(crate) use scan_due_subscriptions::{invoices_for, scan_due_subscriptions};
pub(crate) use send_email::send_email;
pub(crate) use send_renewal_notices::send_renewal_notices;
pub(crate) use spread_prices::spread_prices;
