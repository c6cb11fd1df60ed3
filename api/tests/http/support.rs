//! One API on a test's database, customers with tokens, and what is in the tables.

use std::{sync::Arc, time::Duration};

use api::{App, AuthSettings, KeySource, Settings, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use common::clock::{Clock, TestClock};
use common::email::Brand;
use common::seal::Sealer;
use common::store;
use serde_json::{Value, json};
use sqlx::PgPool;
use testing::{AUTH_JWT_SECRET, customer_id, customer_token};
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const CRON_SECRET: &str = "the cron's secret";

pub(crate) struct Api {
    pub(crate) pool: PgPool,
    pub(crate) clock: TestClock,
    app: Arc<App>,
    router: Router,
}

/// A customer, by the token that their requests carry.
#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) id: Uuid,
    token: String,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

const TOTP_KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

pub(crate) fn settings(confirm_wait: Duration) -> Settings {
    Settings {
        auth: AuthSettings { keys: KeySource::Secret(AUTH_JWT_SECRET.to_owned().into()), audience: None },
        cron_secret: CRON_SECRET.to_owned().into(),
        confirm_wait,
        totp_keys: Some(Arc::new(Sealer::parse(TOTP_KEYS).unwrap())),
        brand: Brand { name: "집체크".to_owned(), public_url: "https://zip.example".parse().unwrap() },
        allowed_origins: vec!["https://shop.example".parse().unwrap()],
        stop_delay: Duration::ZERO,
    }
}

impl Api {
    /// Answers a confirmation at once: nobody settles it meanwhile.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self::with(pool, settings(Duration::ZERO))
    }

    pub(crate) fn with(pool: PgPool, settings: Settings) -> Self {
        let options = store::with_session(pool.connect_options().as_ref().clone());
        let limits = pool.options().clone();
        drop(pool);
        let pool = limits.connect_lazy_with(options);
        let clock = TestClock::default();
        let app = App::new(pool.clone(), Clock::Test(clock.clone()), settings).unwrap();
        let router = router(Arc::clone(&app));
        Self { pool, clock, app, router }
    }

    pub(crate) fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, who: &Customer, path: &str) -> Answer {
        self.send(who.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, who: &Customer, path: &str, body: &Value) -> Answer {
        self.post_text(who, path, body.to_string()).await
    }

    pub(crate) async fn post_text(&self, who: &Customer, path: &str, body: impl Into<Body>) -> Answer {
        let request = who.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn confirm(&self, who: &Customer, body: &Value) -> Answer {
        self.post(who, "/api/payments/confirm", body).await
    }

    /// Rows of everything that a request could write: users, subscriptions, invoices, payments, jobs, e-mails, events.
    pub(crate) async fn rows(&self) -> [i64; 7] {
        let tables =
            ["users", "subscriptions", "invoices", "payments", "jobs", "emails", "subscription_events"];
        let mut counts = [0; 7];
        for (count, table) in counts.iter_mut().zip(tables) {
            let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
            *count = sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap();
        }
        counts
    }
}

impl Customer {
    pub(crate) fn new(number: u128) -> Self {
        let id = customer_id(number);
        Self { id, token: customer_token(id) }
    }

    pub(crate) fn with_token(token: String) -> Self {
        Self { id: Uuid::nil(), token }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let bearer = format!("Bearer {}", self.token);
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, bearer)
    }
}

impl Answer {
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["success"], false);
        assert_eq!(self.body["traceId"].as_str(), self.headers["x-trace-id"].to_str().ok());
        assert!(!self.body["message"].as_str().unwrap().is_empty());
    }

    pub(crate) fn assert_invalid(&self, field: &str) {
        self.assert_problem(422, "invalid_field");
        assert_eq!(self.body["field"], field, "{}", self.body);
    }
}

/// The guide's own request.
pub(crate) fn order(order_id: &str) -> Value {
    json!({
        "paymentKey": format!("tviva_{order_id}"),
        "orderId": order_id,
        "amount": 94_800,
        "customerEmail": "user@example.com",
        "customerName": "홍길동",
        "plan": "personal",
        "billingCycle": "yearly",
    })
}

/// The order with one field changed.
pub(crate) fn order_with(field: &str, value: Value) -> Value {
    let mut order = order("ORDER_1729657033847");
    order[field] = value;
    order
}
