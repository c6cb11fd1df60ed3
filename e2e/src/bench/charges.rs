//! Renewals from the due date to the sent e-mail, through real processes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{Days, NaiveDate};
use common::clock::Clock;
use common::domain::calendar::{Cycle, seoul_date};
use sqlx::PgPool;
use url::Url;

use super::figure::{Figure, Unit};
use super::pgbench::{Load, Pgbench};
use super::{pgbench, programs};
use crate::bank::Bank;
use crate::counting_proxy::CountingProxy;
use crate::database::Database;
use crate::process::Process;
use crate::subscribers;

/// A multiple of [`AT_ONCE`]: the last round of calls is a full one.
const CHARGED: u32 = 3_200;
const COUNTED: u32 = 500;
const AT_ONCE: u32 = 32;
/// Due charges that remain when pgbench has done its own.
const SPARE: u32 = 100;
const CHARGED_WITHIN: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An anchor whose second month begins today in Seoul, or as near before as the calendar allows.
pub(super) fn anchor_due_by(today: NaiveDate) -> anyhow::Result<NaiveDate> {
    let mut anchor = today.checked_sub_days(Days::new(28)).context("no such date")?;
    while Cycle::Monthly.period_start(anchor, 1)? > today {
        anchor = anchor.pred_opt().context("no such date")?;
    }
    Ok(anchor)
}

/// A database with due subscribers whose cards a sandbox knows.
struct Due {
    database: Database,
    bank: Arc<Bank>,
    count: u32,
    _sandbox: Process,
}

impl Due {
    async fn set_up(server: &Url, folder: &Path, count: u32) -> anyhow::Result<Self> {
        let database = Database::recreate(server, "bench_charges", 40).await?;
        let (sandbox, bank) = programs::sandbox(folder).await?;
        let now = Clock::System.now();
        let all = subscribers::register(&bank, usize::try_from(count)?).await?;
        subscribers::insert(&database.pool, &all, anchor_due_by(seoul_date(now))?, now).await?;
        database.run_long(["vacuum analyze"]).await?;
        Ok(Self { database, bank, count, _sandbox: sandbox })
    }

    /// A worker whose daily run begins at once.
    async fn worker(&self, folder: &Path, database: &Url, at_once: u32) -> anyhow::Result<Process> {
        programs::worker(folder, database, &self.bank.url, at_once).await
    }

    /// Waits until every subscription is charged and every e-mail sent. Returns how long the charges took, from the first
    /// intent to the last outcome, and how long both took.
    async fn charge_all(&self) -> anyhow::Result<(Duration, Duration)> {
        let pool = &self.database.pool;
        wait_for(pool, "select count(*) >= $1 from invoices where status = 'paid'", self.count).await?;
        wait_for(pool, "select count(*) >= $1 from emails where status = 'sent'", self.count).await?;
        let seconds =
            "select extract(epoch from max(payments.settled_at) - min(payments.created_at))::float8,
                              extract(epoch from max(emails.settled_at) - min(payments.created_at))::float8
                         from payments join emails on emails.subscription_id = payments.subscription_id";
        let (charges, all) = sqlx::query_as::<_, (f64, f64)>(seconds).fetch_one(pool).await?;
        Ok((Duration::try_from_secs_f64(charges)?, Duration::try_from_secs_f64(all)?))
    }
}

async fn wait_for(pool: &PgPool, condition: &'static str, count: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + CHARGED_WITHIN;
    while Instant::now() < deadline {
        if sqlx::query_scalar(condition).bind(i64::from(count)).fetch_one(pool).await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("not within {} s: {condition}", CHARGED_WITHIN.as_secs())
}

pub(super) async fn measure(server: &Url, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut figures = per_renewal(server, folder).await?;
    let limit = limit(server, folder).await?;
    let due = Due::set_up(server, folder, CHARGED).await?;
    let before = stored(&due.database.pool).await?;
    let worker = due.worker(folder, &due.database.url, AT_ONCE).await?;
    let (_, took) = due.charge_all().await?;
    drop(worker);
    let after = stored(&due.database.pool).await?;
    let what = format!("charges end to end with e-mail, {AT_ONCE} at once");
    figures.push(Figure::rate(&what, CHARGED, took).against(&limit));
    for (what, before, after) in [
        ("stored for good per renewal with its e-mail", before.kept, after.kept),
        ("its job rows, pruned after 90 days", before.pruned, after.pruned),
    ] {
        let bytes = f64::from(i32::try_from(after - before)?) / f64::from(CHARGED);
        figures.push(Figure::of(what, Unit::Kilobytes, bytes / 1_024.0));
    }
    due.database.remove(server).await?;
    Ok(figures)
}

/// What one renewal with its e-mail asks of PostgreSQL, counted at the wire; what an idle worker asks is in it.
async fn per_renewal(server: &Url, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let due = Due::set_up(server, folder, COUNTED).await?;
    let proxy = CountingProxy::before(&due.database.url).await?;
    let worker = due.worker(folder, &proxy.over(&due.database.url)?, AT_ONCE).await?;
    due.charge_all().await?;
    let passed = proxy.passed();
    drop(worker);
    let each =
        |count: u64| -> anyhow::Result<f64> { Ok(f64::from(u32::try_from(count)?) / f64::from(due.count)) };
    let figures = vec![
        Figure::of("round trips per renewal, e-mail included", Unit::Count, each(passed.round_trips)?),
        Figure::of("commits per renewal, e-mail included", Unit::Count, each(passed.commits)?),
    ];
    due.database.remove(server).await?;
    Ok(figures)
}

/// An invoice for every subscription and a charge job for each, an hour old, as the daily run writes them.
pub(super) async fn bill_all(database: &Database) -> anyhow::Result<()> {
    let invoices = "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
        select gen_random_uuid(), id, 1, current_period_end, current_period_end + 30, current_period_end, amount,
               now() - interval '1 hour'
          from subscriptions order by id";
    let jobs = "insert into jobs (kind, args, about, subject, unique_key, run_at, due_at, max_attempts, created_at)
        select 'charge-subscription', jsonb_build_object('invoiceId', id, 'subscriptionId', subscription_id, 'byScan', true), id,
               jsonb_build_object('subscription', subscription_ref(subscription_id), 'invoice', id), 'invoice:' || id, now(),
               now() - interval '1 hour', 25, now()
          from invoices";
    database.run_long([invoices, jobs, "vacuum analyze"]).await
}

/// The statements of a renewal, run by pgbench with as many clients.
async fn limit(server: &Url, folder: &Path) -> anyhow::Result<Figure> {
    let due = Due::set_up(server, folder, CHARGED + SPARE).await?;
    bill_all(&due.database).await?;
    // A client that claims between two commits of others may see only rows that they have taken: there are always more.
    let spare = [
        "insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text, message_id, created_at)
         select id, 'payment_succeeded', id::text, id, id, 'user@example.com', 'subject', repeat('html ', 500), repeat('text ', 150), id::text, now()
           from (select id from subscriptions order by id limit 100) as spare",
        "insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
         select 'send-email', jsonb_build_object('emailId', id, 'subscriptionId', id), id, '{}', now(), now() - interval '1 hour', 25, now()
           from emails",
    ];
    due.database.run_long(spare).await?;
    let script = include_str!("sql/renewal.sql")
        .replace("CLAIM_CHARGE", &pgbench::claim("charge-subscription", 1))
        .replace("CLAIM_EMAIL", &pgbench::claim("send-email", 1));
    let load = Load { clients: AT_ONCE, transactions: CHARGED / AT_ONCE };
    let rate = Pgbench::on(&due.database.url, folder)?.run("renewal", &script, load).await?;
    due.database.remove(server).await?;
    Ok(Figure::per_second("PostgreSQL: the statements of a renewal, 32 clients", rate))
}

/// With a gateway that answers after so long, as many charges a second as there are calls at once allow.
pub(super) async fn with_latency(server: &Url, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (ms, at_once, count) in [(300, 32, 960), (1_500, 32, 320), (300, 200, 3_000), (1_500, 200, 1_600)] {
        let due = Due::set_up(server, folder, count).await?;
        due.bank.delay_charges(ms).await?;
        let worker = due.worker(folder, &due.database.url, at_once).await?;
        let (took, _) = due.charge_all().await?;
        drop(worker);
        let ideal = f64::from(at_once) / (f64::from(ms) / 1_000.0);
        let ideal = Figure::per_second("concurrency ÷ latency", ideal);
        let what = format!("charges with Toss at {ms} ms, {at_once} at once");
        figures.push(Figure::rate(&what, count, took).against(&ideal));
        due.database.remove(server).await?;
    }
    Ok(figures)
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
