//! The environment of a chaos run: a database of due subscriptions, the sandbox, and the programs to start.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use common::clock::{Clock, ClockKind};
use common::domain::calendar::{seoul_date, seoul_instant};
use common::store::settings;
use common::store::settings::DatabaseClock;
use sqlx::PgPool;
use url::Url;

use super::options::Options;
use crate::bank::{BILLING_SECRET, Bank, WIDGET_SECRET};
use crate::database::Database;
use crate::process::{Process, Program, free_addresses, wait_until_ready};
use crate::subscribers;
use crate::subscribers::SEALING_KEYS;

/// One customer in so many has a card that is declined.
const DECLINED_ONE_IN: usize = 50;

pub(super) struct Environment {
    pub(super) pool: PgPool,
    pub(super) bank: Arc<Bank>,
    pub(super) http: reqwest::Client,
    pub(super) workers: Vec<Program>,
    pub(super) api: Program,
    pub(super) api_url: String,
    _sandbox: Process,
}

impl Environment {
    /// Prepares everything, with the clock at 02:00 of the day on which all subscriptions are due. Starts only the sandbox.
    pub(super) async fn prepare(options: &Options, server: &Url) -> anyhow::Result<Self> {
        let logs = options.folder.join("log");
        let mail = options.folder.join("mail");
        for folder in [&logs, &mail] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let http = reqwest::Client::builder().no_proxy().build()?;
        let database = Database::recreate(server, "chaos", 12).await?;
        let mut addresses = free_addresses(usize::from(options.workers).saturating_add(2))?.into_iter();
        let mut address = || addresses.next().context("an address is missing");
        let (sandbox, api) = (address()?, address()?);
        let bank_url = format!("http://{sandbox}");
        let program = Program::beside_this_one("toss-sandbox", "toss-sandbox", &logs)?;
        let program = program.var("SANDBOX_ADDR", sandbox).var("RUST_LOG", "warn");
        let sandbox =
            program.var("SANDBOX_WEBHOOK_URL", format!("http://{api}/api/webhooks/toss")).start()?;
        wait_until_ready(&http, &format!("{bank_url}/sandbox")).await?;
        let workers = (1..=options.workers)
            .map(|number| {
                worker(&format!("worker-{number}"), address()?, &database.url, &bank_url, &logs, &mail)
            })
            .collect::<anyhow::Result<_>>()?;
        let environment = Self {
            pool: database.pool,
            bank: Arc::new(Bank::at(bank_url, http.clone())?),
            http,
            workers,
            api: api_program(api, &database.url, &logs)?,
            api_url: format!("http://{api}"),
            _sandbox: sandbox,
        };
        environment.fill(options.subscriptions).await?;
        Ok(environment)
    }

    async fn fill(&self, subscriptions: usize) -> anyhow::Result<()> {
        let now = Clock::System.now();
        let all = subscribers::register(&self.bank, subscriptions).await?;
        let due_on = subscribers::insert(&self.pool, &all, seoul_date(now), now).await?;
        for subscriber in all.iter().step_by(DECLINED_ONE_IN) {
            self.bank.decline(&subscriber.customer_key()).await?;
        }
        let two = NaiveTime::from_hms_opt(2, 0, 1).unwrap_or_default();
        self.advance_clock(seoul_instant(due_on, two) - now).await
    }

    /// Advances the clock of all processes, which follow within a second, and of the sandbox.
    pub(super) async fn advance_clock(&self, by: TimeDelta) -> anyhow::Result<()> {
        let mut conn = self.pool.acquire().await?;
        settings::join_clock(&mut conn, ClockKind::Test).await?;
        let clock = settings::move_clock(&mut conn, by.num_milliseconds()).await?;
        self.bank.set_clock(time_of(clock)).await
    }

    pub(super) async fn now(&self) -> anyhow::Result<DateTime<Utc>> {
        Ok(time_of(settings::clock(&mut *self.pool.acquire().await?).await?))
    }
}

fn time_of(clock: DatabaseClock) -> DateTime<Utc> {
    Clock::System.now() + TimeDelta::milliseconds(clock.offset_ms)
}

fn worker(
    name: &str,
    address: std::net::SocketAddr,
    database: &Url,
    bank: &str,
    logs: &Path,
    mail: &Path,
) -> anyhow::Result<Program> {
    Ok(Program::beside_this_one("billing-worker", name, logs)?
        .var("DATABASE_URL", database)
        .var("WORKER_ADDR", address)
        .var("TOSS_BASE_URL", bank)
        .var("TOSS_SECRET_KEY", BILLING_SECRET)
        .var("TOSS_WIDGET_SECRET_KEY", WIDGET_SECRET)
        .var("TOSS_MAX_RPS", 10_000)
        .var("BILLING_KEY_ENCRYPTION_KEYS", SEALING_KEYS)
        .var("MAIL_URL", format!("file://{}", mail.display()))
        .var("MAIL_FROM", "billing@example.com")
        .var("CHARGE_CONCURRENCY", 6)
        .var("INSTANCE_ID", "chaos")
        .var("RUST_LOG", "info,toss=warn")
        .var("CLOCK", "test"))
}

fn api_program(address: std::net::SocketAddr, database: &Url, logs: &Path) -> anyhow::Result<Program> {
    Ok(Program::beside_this_one("billing-api", "billing-api", logs)?
        .var("DATABASE_URL", database)
        .var("API_ADDR", address)
        .var("AUTH_JWT_SECRET", testing::AUTH_JWT_SECRET)
        .var("CRON_SECRET", "the-secret-of-the-daily-call")
        .var("CONFIRM_WAIT_SECS", 5)
        .var("CLOCK", "test"))
}
