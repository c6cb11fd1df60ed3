//! Every URL of the API.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use crate::{
    app::App,
    body, cors, edge,
    routes::{
        cancel_subscription::cancel_subscription,
        change_plan::{change_plan, undo_plan_change},
        confirm_payment::confirm_payment,
        confirmation_status::confirmation_status,
        docs::{show_docs, show_docs_file, show_docs_index},
        end_subscription::end_subscription,
        give_consent::give_consent,
        health::{healthz, readyz},
        list_payments::list_payments,
        list_plans::list_plans,
        list_subscriptions::list_subscriptions,
        metrics::show_metrics,
        openapi::show_openapi,
        payment_method_status::payment_method_status,
        receive_webhook::{self, receive_webhook},
        refund_payment::refund_payment,
        register_card::register_card,
        resume_subscription::resume_subscription,
        show_subscription::show_subscription,
        start_scan::{refuse_head, start_scan, start_scan_by_get},
        subscribe::subscribe,
    },
};

/// All routes, with what surrounds each request.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/api/plans", get(list_plans))
        .route("/api/payments/confirm", post(confirm_payment))
        .route("/api/payments/confirm/{orderId}", get(confirmation_status))
        .route("/api/payments/{id}/refund", post(refund_payment))
        .route("/api/payments/billing/auto", post(start_scan))
        .route("/api/cron/billing", get(start_scan_by_get).head(refuse_head))
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
        .route(
            "/api/webhooks/toss",
            post(receive_webhook).layer(DefaultBodyLimit::max(receive_webhook::MAX_BYTES)),
        )
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .route("/openapi.json", get(show_openapi))
        .route("/docs", get(show_docs))
        .route("/docs/", get(show_docs_index))
        .route("/docs/{*path}", get(show_docs_file))
        .layer(DefaultBodyLimit::max(body::MAX_BYTES))
        .with_state(Arc::clone(&app));
    let origins = app.allowed_origins.clone();
    // Outermost, so that problems can be read by the page, too.
    cors::allow(edge::around(routes, app), origins)
}
