//! Every URL of the API.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, patch, post};

use crate::app::App;
use crate::openapi::show_openapi;
use crate::request::MAX_BODY_BYTES;
use crate::routes::cancel_subscription::cancel_subscription;
use crate::routes::change_customer::change_customer;
use crate::routes::change_plan::{change_plan, undo_plan_change};
use crate::routes::confirm_payment::{confirm_payment, confirmation_status};
use crate::routes::docs::{show_docs, show_docs_file, show_docs_index};
use crate::routes::end_subscription::end_subscription;
use crate::routes::give_consent::give_consent;
use crate::routes::list_payments::list_payments;
use crate::routes::list_plans::list_plans;
use crate::routes::operations::{healthz, readyz, show_metrics};
use crate::routes::payment_method::{payment_method_status, register_card};
use crate::routes::receive_webhook::{MAX_WEBHOOK_BYTES, receive_webhook};
use crate::routes::refund_payment::refund_payment;
use crate::routes::resume_subscription::resume_subscription;
use crate::routes::start_scan::{refuse_head, start_scan, start_scan_by_get};
use crate::routes::subscribe::subscribe;
use crate::routes::subscriptions::{list_subscriptions, show_subscription};
use crate::{console, middleware};

/// All routes, with what surrounds each request.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/api/plans", get(list_plans))
        .route("/api/payments/confirm", post(confirm_payment))
        .route("/api/payments/confirm/{orderId}", get(confirmation_status))
        .route("/api/payments/{id}/refund", post(refund_payment))
        .route("/api/payments/billing/auto", post(start_scan))
        .route("/api/cron/billing", get(start_scan_by_get).head(refuse_head))
        .route("/api/customers/me", patch(change_customer))
        .route("/api/subscriptions", get(list_subscriptions).post(subscribe))
        .route("/api/subscriptions/cancel", post(cancel_subscription))
        .route("/api/subscriptions/{id}", get(show_subscription))
        .route("/api/subscriptions/{id}/end", post(end_subscription))
        .route("/api/subscriptions/{id}/payments", get(list_payments))
        .route("/api/subscriptions/{id}/payment-method", get(payment_method_status).post(register_card))
        .route("/api/subscriptions/{id}/plan", post(change_plan))
        .route("/api/subscriptions/{id}/plan/undo", post(undo_plan_change))
        .route("/api/subscriptions/{id}/consents", post(give_consent))
        .route("/api/subscriptions/{id}/resume", post(resume_subscription))
        .route("/api/webhooks/toss", post(receive_webhook).layer(DefaultBodyLimit::max(MAX_WEBHOOK_BYTES)))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .route("/openapi.json", get(show_openapi))
        .route("/docs", get(show_docs))
        .route("/docs/", get(show_docs_index))
        .route("/docs/{*path}", get(show_docs_file))
        .merge(console::router(&app))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::clone(&app));
    middleware::wrap(routes, app)
}
