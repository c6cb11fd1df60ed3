//! How long the operators' console takes over full tables, and what the API's memory does while a file of all payments
//! is read.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use common::clock::Clock;
use common::domain::operator::Role;
use common::id::{new_id, subscription_ref};
use common::secret_token;
use common::store::operator_sessions::NewSession;
use common::store::{operator_sessions, operators};
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, PgPool};
use url::Url;
use uuid::Uuid;

use super::figure::{Figure, Unit};
use super::idle::resident_megabytes;
use super::latency::Samples;
use crate::database::Database;
use crate::process::{Program, free_addresses, wait_until_ready};

/// How often each page is asked.
const TIMES: u32 = 50;
const LOOK_EVERY: u64 = 4 * 1024 * 1024;

pub(super) async fn measure(server: &Url, folder: &Path, payments: u32) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_console", 4).await?;
    fill(&database.pool, payments).await?;
    let browser = Browser::log_in(&database.pool).await?;
    let address = free_addresses(1)?.pop().context("no address is free")?;
    let api = Program::beside_this_one("billing-api", "billing-api", folder)?
        .var("DATABASE_URL", &database.url)
        .var("API_ADDR", address)
        .var("CRON_SECRET", "the bench's")
        .var("AUTH_JWT_SECRET", "a secret of at least thirty-two bytes")
        .var("RUST_LOG", "warn")
        .start()?;
    let base = format!("http://{address}");
    wait_until_ready(&browser.http, &format!("{base}/readyz")).await?;
    let mut figures = Vec::new();
    for (name, path) in pages(&database.pool).await? {
        figures.extend(page(&browser, &name, &format!("{base}{path}")).await?);
    }
    let id = api.id().context("the API has ended")?;
    figures.extend(csv(&browser, &format!("{base}/console/csv/payments"), id, payments).await?);
    drop(api);
    database.remove(server).await?;
    Ok(figures)
}

/// Each statement sees the tables that those before it made: one connection, which need not be quick.
async fn fill(pool: &PgPool, payments: u32) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    sqlx::query("set statement_timeout = 0").execute(&mut *conn).await?;
    let sql = include_str!("sql/console.sql").replace("$1", &payments.to_string());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await.context("cannot fill the tables")?;
    sqlx::query("vacuum analyze").execute(&mut *conn).await?;
    // Its session lives on without the temporary tables and the limit.
    conn.close().await?;
    Ok(())
}

/// An operator's browser.
struct Browser {
    http: reqwest::Client,
    cookie: String,
}

impl Browser {
    async fn log_in(pool: &PgPool) -> anyhow::Result<Self> {
        let (mut conn, now) = (pool.acquire().await?, Clock::System.now());
        let put = operators::put(&mut conn, new_id(now), "kim@example.com", Some(Role::Admin), b"none");
        let operator_id = put.await?.id;
        let token = secret_token::new_token("")?;
        let token_hash = &secret_token::hash(token.expose_secret());
        let session =
            NewSession { id: new_id(now), operator_id, token_hash, address: None, user_agent: None };
        operator_sessions::open(&mut conn, session).await?;
        let redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(redirects).build()?;
        Ok(Self { http, cookie: format!("console={}", token.expose_secret()) })
    }

    async fn get(&self, url: &str) -> anyhow::Result<reqwest::Response> {
        let request =
            self.http.get(url).header("cookie", &self.cookie).header("sec-fetch-site", "same-origin");
        let answer = request.send().await?;
        let status = answer.status();
        // One hit of the search leads straight to its page.
        ensure!(status.is_success() || status == 303, "{url} answered {status}");
        let leads_to_login =
            answer.headers().get("location").is_some_and(|to| to.as_bytes().ends_with(b"/login"));
        ensure!(!leads_to_login, "{url} asks for a login");
        Ok(answer)
    }
}

const LISTS: [&str; 12] = [
    "jobs",
    "payments",
    "refunds",
    "cards",
    "subscriptions",
    "emails",
    "webhooks/in",
    "webhooks/out",
    "discrepancies",
    "invoices",
    "audit",
    "actions",
];

/// Pages without an id: filters that match much, little and nothing, and what people type into the search.
const PATHS: [&str; 32] = [
    "",
    "/failures",
    "/calendar",
    "/settings",
    "/bulk/job.retry?state=failed",
    "/jobs?state=failed&cause=x",
    "/jobs?state=attention",
    "/jobs?kind=send-email",
    "/jobs?kind=none",
    "/payments?state=unknown",
    "/payments?state=review",
    "/payments?state=failed",
    "/payments?state=failed&cause=FDS_ERROR",
    "/payments?cause=NONE",
    "/refunds?state=failed",
    "/refunds?cause=NONE",
    "/cards?state=refused",
    "/subscriptions?state=past_due",
    "/subscriptions?kind=none",
    "/emails?state=failed",
    "/emails?kind=none",
    "/webhooks/in?state=failed",
    "/webhooks/in?kind=none",
    "/webhooks/out?state=failed",
    "/webhooks/out?state=pending",
    "/audit?kind=none",
    "/actions?kind=none",
    "/search?q=user77@example.com",
    "/search?q=user7",
    "/search?q=홍길동77",
    "/search?q=홍",
    "/search?q=nothing-of-this-name",
];

/// What is measured: a name, and the path.
async fn pages(pool: &PgPool) -> anyhow::Result<Vec<(String, String)>> {
    let payment =
        "select id, subscription_id, payment_key, toss_trace_id from payments where order_id = 'ORDER_5001'";
    let (payment, subscription, key, trace): (Uuid, Uuid, String, String) =
        sqlx::query_as(payment).fetch_one(pool).await?;
    let job: i64 = sqlx::query_scalar("select max(id) / 2 from jobs").fetch_one(pool).await?;
    let (reference, payment) = (subscription_ref(subscription), payment.to_string());
    let mut paths: Vec<String> = PATHS.map(str::to_owned).into();
    paths.extend(LISTS.iter().map(|list| format!("/{list}")));
    paths.extend(LISTS.iter().map(|list| format!("/{list}?subscription={reference}")));
    for (list, table) in [
        ("emails", "emails"),
        ("webhooks/in", "webhook_events_in"),
        ("webhooks/out", "webhook_events_out"),
        ("discrepancies", "discrepancies"),
    ] {
        let first = AssertSqlSafe(format!("select id from {table} order by id limit 1"));
        let id: Uuid = sqlx::query_scalar(first).fetch_one(pool).await?;
        paths.push(format!("/{list}/{id}"));
    }
    paths.push(format!("/payments?since=30d&before={payment}"));
    paths.push(format!("/subscriptions/{reference}"));
    paths.push(format!("/jobs/{job}"));
    paths.push(format!("/act/payment.refund/{payment}"));
    let searched = ["ORDER_5001", &key, &trace, &reference, &job.to_string(), &payment];
    paths.extend(searched.map(|text| format!("/search?q={text}")));
    let name = |path: &str| path.replace(&reference, "<subscription>").replace(&payment, "<payment>");
    Ok(paths.into_iter().map(|path| (name(&path), format!("/console{path}"))).collect())
}

async fn page(browser: &Browser, name: &str, url: &str) -> anyhow::Result<[Figure; 2]> {
    let mut samples = Samples::default();
    for _ in 0..TIMES {
        let begun = Instant::now();
        browser.get(url).await?.bytes().await?;
        samples.add(begun.elapsed());
    }
    let of = |percent| {
        Figure::of(&format!("console{name}: p{percent}"), Unit::Milliseconds, samples.percentile_ms(percent))
    };
    Ok([of(50), of(95)])
}

/// Reads the whole file as a browser would, and looks at the API's memory on the way.
async fn csv(browser: &Browser, url: &str, api: u32, rows: u32) -> anyhow::Result<[Figure; 4]> {
    let before = resident_megabytes(api)?;
    let begun = Instant::now();
    let (mut peak, mut bytes, mut looked_at) = (before, 0_u64, 0_u64);
    let mut answer = browser.get(url).await?;
    while let Some(piece) = answer.chunk().await? {
        bytes += u64::try_from(piece.len())?;
        if bytes - looked_at >= LOOK_EVERY {
            looked_at = bytes;
            peak = peak.max(resident_megabytes(api)?);
        }
    }
    let took: Duration = begun.elapsed();
    ensure!(bytes > u64::from(rows), "the file broke off after {bytes} bytes");
    Ok([
        Figure::of("console: API's memory before a CSV file", Unit::Megabytes, before),
        Figure::of(&format!("console: the most while {rows} rows stream"), Unit::Megabytes, peak),
        Figure::rate("console: rows of the CSV file", rows, took),
        Figure::seconds("console: the whole CSV file", took),
    ])
}
