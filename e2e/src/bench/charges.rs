//! The daily run's fan-out, and charges from the due date to the paid invoice, through real processes.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate, NaiveTime};
use common::{
    clock::Clock,
    domain::{
        calendar::{Cycle, seoul_date},
        dunning::Policy,
    },
    email::Brand,
    jobs::{self, ScanDueSubscriptions},
    mailer::{self, MailRoute, Mailer},
    queue::Finished,
    seal::Sealer,
};
use sqlx::PgPool;
use toss::{Toss, TossConfig};
use url::Url;
use worker::{
    env::{Env, Parts},
    gateway::rate_limiter::RateLimiter,
};

use super::{
    figure::{Figure, Unit},
    postgres::Limits,
};
use crate::{
    bank::{BILLING_SECRET, Bank, WIDGET_SECRET},
    database::Database,
    process::{Program, free_addresses, wait_until_ready},
    subscribers::{self, SEALING_KEYS},
};

const DUE: usize = 100_000;
const CHARGED: u32 = 1_000;
const CHARGED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An anchor whose second month begins today in Seoul, or as near before as the calendar allows.
fn anchor_due_by(today: NaiveDate) -> anyhow::Result<NaiveDate> {
    let mut anchor = today.checked_sub_days(Days::new(28)).context("no such date")?;
    while Cycle::Monthly.period_start(anchor, 1)? > today {
        anchor = anchor.pred_opt().context("no such date")?;
    }
    Ok(anchor)
}

/// One scan of 100,000 due subscriptions: an invoice and a charge job for each.
pub(super) async fn fan_out(pool: &PgPool, folder: &Path, limits: &Limits) -> anyhow::Result<Figure> {
    let now = Clock::System.now();
    let date = seoul_date(now);
    subscribers::insert(pool, &subscribers::invent(DUE), anchor_due_by(date)?, now).await?;
    sqlx::query("vacuum analyze subscriptions").execute(pool).await?;
    jobs::enqueue(&mut *pool.acquire().await?, &ScanDueSubscriptions { date }, now, now).await?;
    let env = environment(pool, folder)?;
    let begun = Instant::now();
    let ended = worker::jobs::run_one(&env, "bench").await?;
    let took = begun.elapsed();
    ensure!(ended == Some(Finished::Done), "the scan ended as {ended:?}");
    let made: i64 = sqlx::query_scalar("select count(*) from jobs where kind = 'charge-subscription'")
        .fetch_one(pool)
        .await?;
    ensure!(usize::try_from(made)? == DUE, "the scan made {made} charge jobs");
    let what = "daily scan: 100,000 due → invoices and charge jobs";
    Ok(Figure::seconds(what, took).against(&limits.insert))
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

/// What charging came to.
pub(super) struct Charged {
    pub(super) rate: Figure,
    /// What one renewal leaves in the tables and their indexes.
    pub(super) stored: [Figure; 2],
}

/// 1,000 due subscriptions, one worker process with so many charges at once, a bank that answers at once: from the
/// first charge on record to the last.
pub(super) async fn end_to_end(
    server: &Url,
    folder: &Path,
    at_once: usize,
    limits: &Limits,
) -> anyhow::Result<Charged> {
    let database = Database::recreate(server, "bench_charges", 8).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let addresses = free_addresses(2)?;
    let [bank_address, worker_address] = addresses.as_slice() else { anyhow::bail!("two addresses") };
    let bank_url = format!("http://{bank_address}");
    let sandbox = Program::beside_this_one("toss-sandbox", "toss-sandbox", folder)?;
    let _sandbox = sandbox.var("SANDBOX_ADDR", bank_address).var("RUST_LOG", "warn").start()?;
    wait_until_ready(&http, &format!("{bank_url}/sandbox")).await?;
    let bank = Arc::new(Bank::at(bank_url.clone(), http)?);
    let now = Clock::System.now();
    let all = subscribers::register(&bank, usize::try_from(CHARGED)?).await?;
    subscribers::insert(&database.pool, &all, anchor_due_by(seoul_date(now))?, now).await?;

    let before = stored(&database.pool).await?;
    let worker = worker(folder)?
        .var("DATABASE_URL", &database.url)
        .var("WORKER_ADDR", worker_address)
        .var("TOSS_BASE_URL", bank_url)
        .var("CHARGE_CONCURRENCY", at_once)
        .start()?;
    let took = charge_all(&database.pool).await?;
    wait_for_letters(&database.pool).await?;
    drop(worker);
    let after = stored(&database.pool).await?;
    database.remove(server).await?;
    let what = format!("charges end to end with e-mail, {at_once} at once");
    let per_renewal = |before: i64, after: i64| -> anyhow::Result<f64> {
        Ok(f64::from(i32::try_from(after - before)?) / 1_024.0 / f64::from(CHARGED))
    };
    let kept = per_renewal(before.kept, after.kept)?;
    let pruned = per_renewal(before.pruned, after.pruned)?;
    Ok(Charged {
        rate: Figure::rate(&what, CHARGED, took).against(&limits.one_by_one),
        stored: [
            Figure::of("stored for good per renewal with its e-mail", Unit::Kilobytes, kept),
            Figure::of("its job rows, pruned after 90 days", Unit::Kilobytes, pruned),
        ],
    })
}

fn worker(folder: &Path) -> anyhow::Result<Program> {
    Ok(Program::beside_this_one("billing-worker", "billing-worker", folder)?
        .var("TOSS_SECRET_KEY", BILLING_SECRET)
        .var("TOSS_WIDGET_SECRET_KEY", WIDGET_SECRET)
        .var("TOSS_MAX_RPS", 1_000_000)
        .var("BILLING_KEY_ENCRYPTION_KEYS", SEALING_KEYS)
        .var("MAIL_URL", format!("file://{}", folder.display()))
        .var("MAIL_FROM", "billing@example.com")
        // Always due: today's run has begun whatever the time of day.
        .var("SCAN_CRON", "0 0 0 * * *")
        .var("RUST_LOG", "warn"))
}

/// Bytes of tables with their indexes.
#[derive(sqlx::FromRow)]
struct Stored {
    kept: i64,
    /// Job rows.
    pruned: i64,
}

async fn stored(pool: &PgPool) -> anyhow::Result<Stored> {
    let sums = "select sum(size) filter (where relname <> 'jobs')::bigint as kept,
                       sum(size) filter (where relname = 'jobs')::bigint as pruned
                  from pg_class cross join lateral pg_total_relation_size(oid) as size
                 where relkind = 'r' and relnamespace = 'public'::regnamespace";
    Ok(sqlx::query_as(sums).fetch_one(pool).await?)
}

async fn wait_for_letters(pool: &PgPool) -> anyhow::Result<()> {
    let deadline = Instant::now() + CHARGED_WITHIN;
    while Instant::now() < deadline {
        let sent: i64 =
            sqlx::query_scalar("select count(*) from emails where status = 'sent'").fetch_one(pool).await?;
        if sent >= i64::from(CHARGED) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("not mailed within {} s", CHARGED_WITHIN.as_secs())
}

async fn charge_all(pool: &PgPool) -> anyhow::Result<Duration> {
    let deadline = Instant::now() + CHARGED_WITHIN;
    let mut first = None;
    while Instant::now() < deadline {
        let (begun, paid): (bool, i64) = sqlx::query_as(
            "select exists (select from payments),
                    (select count(*) from invoices where status = 'paid')",
        )
        .fetch_one(pool)
        .await?;
        if begun && first.is_none() {
            first = Some(Instant::now());
        }
        if let Some(first) = first
            && paid >= i64::from(CHARGED)
        {
            return Ok(first.elapsed());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("not charged within {} s", CHARGED_WITHIN.as_secs())
}
