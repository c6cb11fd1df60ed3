//! The OpenAPI document: every route with its answers, problems included.

use axum::Json;
use axum::response::IntoResponse;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{Modify, OpenApi, openapi};

use crate::{error::ProblemDocument, routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Billing API",
        version = "1",
        description = "Recurring billing on Toss Payments. Amounts are whole won; dates are civil dates in Asia/Seoul; \
                       every 4xx and 5xx is application/problem+json.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        routes::list_plans::list_plans,
        routes::confirm_payment::confirm_payment,
        routes::confirm_payment::confirmation_status,
        routes::change_customer::change_customer,
        routes::cancel_subscription::cancel_subscription,
        routes::subscribe::subscribe,
        routes::end_subscription::end_subscription,
        routes::payment_method::register_card,
        routes::payment_method::payment_method_status,
        routes::resume_subscription::resume_subscription,
        routes::change_plan::change_plan,
        routes::change_plan::undo_plan_change,
        routes::give_consent::give_consent,
        routes::subscriptions::list_subscriptions,
        routes::subscriptions::show_subscription,
        routes::list_payments::list_payments,
        routes::refund_payment::refund_payment,
        routes::start_scan::start_scan,
        routes::start_scan::start_scan_by_get,
        routes::receive_webhook::receive_webhook,
        routes::operations::healthz,
        routes::operations::readyz,
        routes::operations::show_metrics,
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Credentials, &Problems),
)]
struct Document;

/// The document as it is served at `/openapi.json`.
pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// `GET /openapi.json`: this API, described for programs; `/docs` shows it to people.
pub(crate) async fn show_openapi() -> impl IntoResponse {
    Json(document())
}

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = |format: Option<&str>, what: &str| {
            let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(what));
            SecurityScheme::Http(format.into_iter().fold(http, HttpBuilder::bearer_format).build())
        };
        let customer =
            scheme(Some("JWT"), "The login service's token; `sub` is the user id, `exp` is required");
        components.add_security_scheme("customer", customer);
        let operator = scheme(None, "An operator's token, `op_…`, as `billing operator add` printed it");
        components.add_security_scheme("operator", operator);
        components.add_security_scheme("cron", scheme(None, "CRON_SECRET"));
    }
}

/// Every failure has the same body, so no route says so by itself.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                for (status, response) in &mut operation.responses.responses {
                    if let RefOr::T(response) = response
                        && (status.starts_with('4') || status.starts_with('5'))
                    {
                        let problem = Ref::from_schema_name("Problem");
                        let content = ContentBuilder::new().schema(Some(problem)).build();
                        response.content.insert("application/problem+json".to_owned(), RefOr::T(content));
                    }
                }
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    item.get.iter_mut().chain(item.post.iter_mut()).chain(item.patch.iter_mut())
}

#[cfg(test)]
mod tests {
    /// A change of the contract shows up here as a changed file.
    #[test]
    fn the_document_is_what_was_agreed() {
        insta::assert_json_snapshot!("openapi", super::document());
    }

    /// OpenAPI requires it of every response.
    #[test]
    fn every_response_says_what_it_means() {
        let document = serde_json::to_value(super::document()).unwrap();
        let mut count = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in
                item.as_object().unwrap().values().filter(|operation| operation["responses"].is_object())
            {
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let description = response["description"].as_str().unwrap_or_default();
                    assert!(!description.is_empty(), "{path} {status}");
                    count += 1;
                }
            }
        }
        assert!(count > 60, "{count}");
    }
}
