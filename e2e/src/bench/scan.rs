//! The daily run: an invoice and a charge job for each due subscription, a tenth of all.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use chrono::NaiveTime;
use common::clock::Clock;
use common::domain::calendar::seoul_date;
use common::domain::dunning::Policy;
use common::email::Brand;
use common::jobs::ScanDueSubscriptions;
use common::mailer::{MailRoute, Mailer};
use common::queue::Finished;
use common::seal::Sealer;
use common::{jobs, mailer};
use sqlx::PgPool;
use toss::{Toss, TossConfig};
use url::Url;
use worker::env::{Env, Parts};
use worker::gateway::rate_limiter::RateLimiter;

use crate::bank::{BILLING_SECRET, WIDGET_SECRET};
use crate::database::Database;
use crate::subscribers;
use crate::subscribers::SEALING_KEYS;

use super::{charges::anchor_due_by, figure::Figure};

pub(super) async fn measure(server: &Url, folder: &Path, size: u32) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_scan", 12).await?;
    let pool = &database.pool;
    let due = size / 10;
    fill(&database, size, due).await?;
    let (now, date) = (Clock::System.now(), seoul_date(Clock::System.now()));
    jobs::enqueue(&mut *pool.acquire().await?, &ScanDueSubscriptions { date }, now, now).await?;
    let env = environment(pool, folder)?;
    let begun = Instant::now();
    let ended = worker::jobs::run_one(&env, "bench").await?;
    let took = begun.elapsed();
    ensure!(ended == Some(Finished::Done), "the scan ended as {ended:?}");
    let made: i64 = sqlx::query_scalar("select count(*) from jobs where kind = 'charge-subscription'")
        .fetch_one(pool)
        .await?;
    ensure!(made == i64::from(due), "the scan made {made} charge jobs");
    let limit =
        Figure::seconds("PostgreSQL: INSERT … SELECT of the same rows", bare_inserts(&database).await?);
    database.remove(server).await?;
    let what = format!("daily scan: {due} due of {size}");
    Ok(vec![Figure::seconds(&what, took).against(&limit)])
}

/// So many subscriptions, of which some are due today and the others in half a month.
async fn fill(database: &Database, size: u32, due: u32) -> anyhow::Result<()> {
    let (pool, now) = (&database.pool, Clock::System.now());
    let anchor = anchor_due_by(seoul_date(now))?;
    let later = anchor + chrono::Days::new(14);
    subscribers::insert(pool, &subscribers::invent(usize::try_from(due)?), anchor, now).await?;
    subscribers::insert(pool, &subscribers::invent(usize::try_from(size - due)?), later, now).await?;
    database.run_long(["vacuum analyze"]).await
}

/// The rows that the scan wrote, written once more into the same tables with their indexes, constraints and triggers.
async fn bare_inserts(database: &Database) -> anyhow::Result<Duration> {
    let job = "kind, args, about, subject, unique_key, run_at, due_at, priority, max_attempts, created_at";
    let invoice = "id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at";
    database
        .run_long([
            format!("create table staged_jobs as select {job} from jobs where kind = 'charge-subscription' order by id"),
            format!("create table staged_invoices as select {invoice} from invoices order by id"),
            "truncate jobs".to_owned(),
            "truncate invoices cascade".to_owned(),
            "vacuum analyze".to_owned(),
        ])
        .await?;
    let begun = Instant::now();
    database
        .run_long([
            format!("insert into invoices ({invoice}) select {invoice} from staged_invoices"),
            format!("insert into jobs ({job}) select {job} from staged_jobs"),
        ])
        .await?;
    Ok(begun.elapsed())
}

fn environment(pool: &PgPool, folder: &Path) -> anyhow::Result<Env> {
    // Nobody is asked: a scan only reads and writes.
    let config = TossConfig::new("http://127.0.0.1:9".parse()?, BILLING_SECRET.into(), WIDGET_SECRET.into());
    Ok(Env::new(Parts {
        pool: pool.clone(),
        clock: Clock::System,
        toss: Toss::new(config)?,
        rate_limiter: RateLimiter::new(10_000),
        sealer: Sealer::parse(SEALING_KEYS)?,
        brand: Brand { name: "집체크".to_owned(), public_url: "http://127.0.0.1".parse()? },
        dunning: Policy { retry_days: vec![3, 3] },
        charge_time: NaiveTime::MIN,
        mailer: Mailer::new(
            MailRoute::parse(&format!("file://{}", folder.display()))?,
            mailer::sender(None, "billing@example.com")?,
        ),
        endpoint: None,
        instance: None,
    }))
}
