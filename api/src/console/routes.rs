//! Every URL of the console in one table: the router is built from it, so no route is without its role.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get, post};
use common::domain::operator::Role;

use super::guard::{Access, Guard};
use super::list::{csv, show};
use super::lists::{Actions, Audit, Emails, Jobs, Subscriptions, WebhooksIn, WebhooksOut};
use super::money_lists::{Cards, Discrepancies, HeldInvoices, Payments, Refunds};
use super::{
    act, action_record, assets, bulk, calendar, clock, details, failure, failures, guard, link, login,
    search, second_factor, settings, subscription, today,
};
use crate::app::App;

/// One row of the table.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    handler: fn() -> MethodRouter<Arc<App>>,
}

const VIEWER: Access = Access::Role(Role::Viewer);
const OPERATOR: Access = Access::Role(Role::Operator);
const ADMIN: Access = Access::Role(Role::Admin);

const fn page(path: &'static str, access: Access, handler: fn() -> MethodRouter<Arc<App>>) -> Route {
    Route { method: "GET", path, access, handler }
}

const fn form(path: &'static str, access: Access, handler: fn() -> MethodRouter<Arc<App>>) -> Route {
    Route { method: "POST", path, access, handler }
}

pub const ROUTES: &[Route] = &[
    page("/console/assets/{file}", Access::Asset, || get(assets::show)),
    page("/console/login", Access::Anyone, || get(login::show)),
    form("/console/login", Access::Anyone, || post(login::log_in)),
    page("/console/link/{token}", Access::Anyone, || get(link::show)),
    form("/console/link/{token}", Access::Anyone, || post(link::set_password)),
    form("/console/logout", VIEWER, || post(login::log_out)),
    page("/console", VIEWER, || get(today::show)),
    page("/console/search", VIEWER, || get(search::show)),
    page("/console/failures", VIEWER, || get(failures::show)),
    page("/console/subscriptions/{id}", VIEWER, || get(subscription::show)),
    page("/console/jobs/{id}", VIEWER, || get(details::job)),
    page("/console/emails/{id}", VIEWER, || get(details::email)),
    page("/console/emails/{id}/preview", VIEWER, || get(details::email_preview)),
    page("/console/webhooks/in/{id}", VIEWER, || get(details::webhook_in)),
    page("/console/webhooks/out/{id}", VIEWER, || get(details::webhook_out)),
    page("/console/jobs", VIEWER, || get(show::<Jobs>)),
    page("/console/csv/jobs", VIEWER, || get(csv::<Jobs>)),
    page("/console/payments", VIEWER, || get(show::<Payments>)),
    page("/console/csv/payments", VIEWER, || get(csv::<Payments>)),
    page("/console/refunds", VIEWER, || get(show::<Refunds>)),
    page("/console/csv/refunds", VIEWER, || get(csv::<Refunds>)),
    page("/console/cards", VIEWER, || get(show::<Cards>)),
    page("/console/csv/cards", VIEWER, || get(csv::<Cards>)),
    page("/console/subscriptions", VIEWER, || get(show::<Subscriptions>)),
    page("/console/csv/subscriptions", VIEWER, || get(csv::<Subscriptions>)),
    page("/console/emails", VIEWER, || get(show::<Emails>)),
    page("/console/csv/emails", VIEWER, || get(csv::<Emails>)),
    page("/console/webhooks/in", VIEWER, || get(show::<WebhooksIn>)),
    page("/console/csv/webhooks/in", VIEWER, || get(csv::<WebhooksIn>)),
    page("/console/webhooks/out", VIEWER, || get(show::<WebhooksOut>)),
    page("/console/csv/webhooks/out", VIEWER, || get(csv::<WebhooksOut>)),
    page("/console/discrepancies", VIEWER, || get(show::<Discrepancies>)),
    page("/console/csv/discrepancies", VIEWER, || get(csv::<Discrepancies>)),
    page("/console/discrepancies/{id}", VIEWER, || get(details::discrepancy)),
    page("/console/invoices", VIEWER, || get(show::<HeldInvoices>)),
    page("/console/csv/invoices", VIEWER, || get(csv::<HeldInvoices>)),
    page("/console/audit", VIEWER, || get(show::<Audit>)),
    page("/console/csv/audit", VIEWER, || get(csv::<Audit>)),
    page("/console/calendar", VIEWER, || get(calendar::show)),
    page("/console/calendar/{date}", VIEWER, || get(calendar::day)),
    page("/console/clock", VIEWER, || get(clock::show)),
    form("/console/clock", ADMIN, || post(clock::advance)),
    page("/console/bulk/{action}", OPERATOR, || get(bulk::show)),
    form("/console/bulk/{action}", OPERATOR, || post(bulk::start)),
    page("/console/bulks/{id}", VIEWER, || get(bulk::progress)),
    form("/console/bulks/{id}/stop", OPERATOR, || post(bulk::stop)),
    page("/console/actions", VIEWER, || get(show::<Actions>)),
    page("/console/csv/actions", VIEWER, || get(csv::<Actions>)),
    page("/console/actions/{id}", VIEWER, || get(action_record::show)),
    page("/console/settings", VIEWER, || get(settings::show)),
    form("/console/settings/language", VIEWER, || post(settings::choose_language)),
    form("/console/settings/sessions/{id}/end", VIEWER, || post(settings::end_session)),
    form("/console/settings/operators/{id}/sessions/end", ADMIN, || post(settings::end_sessions_of)),
    page("/console/settings/second-factor", VIEWER, || get(second_factor::show)),
    form("/console/settings/second-factor/on", VIEWER, || post(second_factor::turn_on)),
    form("/console/settings/second-factor/off", VIEWER, || post(second_factor::turn_off)),
    page("/console/act/operator.totp_reset/{id}", ADMIN, || get(act::show)),
    form("/console/act/operator.totp_reset/{id}", ADMIN, || post(act::perform)),
    page("/console/act/payment.look_up/{id}", OPERATOR, || get(act::show)),
    form("/console/act/payment.look_up/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/payment.refund/{id}", OPERATOR, || get(act::show)),
    form("/console/act/payment.refund/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/payment.claim_paid/{id}", OPERATOR, || get(act::show)),
    form("/console/act/payment.claim_paid/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/payment.claim_not_paid/{id}", OPERATOR, || get(act::show)),
    form("/console/act/payment.claim_not_paid/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/payment.agree_not_paid/{id}", OPERATOR, || get(act::show)),
    form("/console/act/payment.agree_not_paid/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/job.retry/{id}", OPERATOR, || get(act::show)),
    form("/console/act/job.retry/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/job.snooze/{id}", OPERATOR, || get(act::show)),
    form("/console/act/job.snooze/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/job.discard/{id}", OPERATOR, || get(act::show)),
    form("/console/act/job.discard/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/subscription.cancel/{id}", OPERATOR, || get(act::show)),
    form("/console/act/subscription.cancel/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/subscription.end/{id}", OPERATOR, || get(act::show)),
    form("/console/act/subscription.end/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/subscription.pause_charging/{id}", OPERATOR, || get(act::show)),
    form("/console/act/subscription.pause_charging/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/subscription.resume_charging/{id}", OPERATOR, || get(act::show)),
    form("/console/act/subscription.resume_charging/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/invoice.charge/{id}", OPERATOR, || get(act::show)),
    form("/console/act/invoice.charge/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/invoice.forgive/{id}", OPERATOR, || get(act::show)),
    form("/console/act/invoice.forgive/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/email.resend/{id}", OPERATOR, || get(act::show)),
    form("/console/act/email.resend/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/discrepancy.accept/{id}", OPERATOR, || get(act::show)),
    form("/console/act/discrepancy.accept/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/event.replay/{id}", OPERATOR, || get(act::show)),
    form("/console/act/event.replay/{id}", OPERATOR, || post(act::perform)),
    page("/console/act/charging.switch_on/{id}", ADMIN, || get(act::show)),
    form("/console/act/charging.switch_on/{id}", ADMIN, || post(act::perform)),
    page("/console/act/charging.switch_off/{id}", ADMIN, || get(act::show)),
    form("/console/act/charging.switch_off/{id}", ADMIN, || post(act::perform)),
    page("/console/act/events.switch_on/{id}", ADMIN, || get(act::show)),
    form("/console/act/events.switch_on/{id}", ADMIN, || post(act::perform)),
    page("/console/act/events.switch_off/{id}", ADMIN, || get(act::show)),
    form("/console/act/events.switch_off/{id}", ADMIN, || post(act::perform)),
];

pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let guard = |access| from_fn_with_state(Guard { app: Arc::clone(app), access }, guard::admit);
    let routes = ROUTES.iter().fold(Router::new(), |router, route| {
        router.route(route.path, (route.handler)().route_layer(guard(route.access)))
    });
    // An unknown page is shown as such to operators only.
    let unknown = || any(failure::not_found).layer(guard(VIEWER));
    routes.route("/console/{*path}", unknown()).route("/console/", unknown())
}
