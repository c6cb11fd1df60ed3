//! What one thread runs its seeds on: a database, a sandbox, processes behind proxies, and one clock.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use common::clock::{Clock, StandingClock};
use common::domain::dunning::Policy;
use common::email::Brand;
use common::mailer;
use common::mailer::{MailRoute, Mailer};
use common::seal::Sealer;
use common::store::gate::Instance;
use sandbox::Sandbox;
use sqlx::PgPool;
use tempfile::TempDir;
use toss::{Toss, TossConfig};
use worker::env::{Env, Parts};
use worker::gateway::rate_limiter::RateLimiter;
use worker::scheduler::Schedule;

use crate::{database::Database, gateway_proxy::GatewayProxy, postgres_proxy::PostgresProxy, trace::Trace};

const BILLING_SECRET: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
const WIDGET_SECRET: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";
/// 32 bytes, base64.
const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WORKERS: usize = 4;
/// API processes: so many requests can run at once.
pub(crate) const APIS: usize = 2;

/// One simulated process: a worker, or (the last ones) an API.
pub(crate) struct SimProcess {
    pub(crate) name: String,
    pub(crate) env: Env,
    pub(crate) gateway: GatewayProxy,
    pub(crate) postgres: PostgresProxy,
}

impl SimProcess {
    /// Starts again after it was killed.
    pub(crate) fn restart(&mut self, database: &Database, clock: &StandingClock, mails: &TempDir) {
        let pool = database.pool(&self.name, &self.postgres);
        self.env = environment(pool, self.env.toss.clone(), clock, mails);
    }
}

pub(crate) struct TestBed {
    pub(crate) database: Database,
    pub(crate) sandbox: Sandbox,
    pub(crate) processes: Vec<SimProcess>,
    /// A client past the proxies, for the checks.
    pub(crate) direct: Toss,
    pub(crate) schedule: Schedule,
    pub(crate) mails: TempDir,
    pub(crate) clock: StandingClock,
    now: DateTime<Utc>,
}

impl TestBed {
    pub(crate) async fn set_up(thread: usize) -> Self {
        let database = Database::create(thread).await;
        let sandbox = Sandbox::start("127.0.0.1:0").await.unwrap();
        let (clock, mails) = (StandingClock::default(), tempfile::tempdir().unwrap());
        let mut processes = Vec::new();
        for number in 0..WORKERS + APIS {
            let name = number.checked_sub(WORKERS).map_or(format!("w{number}"), |api| format!("api{api}"));
            let gateway = GatewayProxy::start(sandbox.addr()).await;
            let postgres = PostgresProxy::start(database.server()).await;
            let pool = database.pool(&name, &postgres);
            let env = environment(pool, toss(&gateway.url()), &clock, &mails);
            processes.push(SimProcess { name, env, gateway, postgres });
        }
        let direct = toss(&sandbox.url());
        let schedule = "0 0 2 * * *".parse().unwrap();
        Self { database, sandbox, processes, direct, schedule, mails, clock, now: DateTime::UNIX_EPOCH }
    }

    pub(crate) async fn clean(&mut self) {
        for process in &mut self.processes {
            process.postgres.disconnect().await;
            while process.gateway.take().is_some() {}
            process.restart(&self.database, &self.clock, &self.mails);
        }
        self.database.clean().await;
        self.sandbox.reset();
        for file in std::fs::read_dir(self.mails.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    pub(crate) fn restart(&mut self, process: usize) {
        self.processes[process].restart(&self.database, &self.clock, &self.mails);
    }

    pub(crate) fn admin_pool(&self) -> &PgPool {
        &self.database.admin_pool
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Sets the clock of all processes and of the sandbox.
    pub(crate) fn set_clock(&mut self, at: DateTime<Utc>, trace: &Trace) {
        self.now = at;
        self.apply_clock();
        trace.set_time(at);
    }

    /// Advances the clock by the second that each step takes.
    pub(crate) fn tick(&mut self) {
        self.now += TimeDelta::seconds(1);
        self.apply_clock();
    }

    fn apply_clock(&mut self) {
        self.clock.set(self.now);
        self.sandbox.stop_clock(self.now);
    }
}

fn toss(url: &str) -> Toss {
    let config = TossConfig::new(url.parse().unwrap(), BILLING_SECRET.into(), WIDGET_SECRET.into());
    Toss::new(config).unwrap()
}

fn environment(pool: PgPool, toss: Toss, clock: &StandingClock, mails: &TempDir) -> Env {
    let mail_url = url::Url::from_directory_path(mails.path()).unwrap();
    Env::new(Parts {
        pool,
        clock: Clock::Standing(clock.clone()),
        toss,
        rate_limiter: RateLimiter::one_by_one(1_000_000),
        sealer: Sealer::parse(SEALING_KEYS).unwrap(),
        brand: Brand { name: "집체크".to_owned(), public_url: "https://example.com".parse().unwrap() },
        dunning: Policy { retry_days: vec![3, 3] },
        charge_time: NaiveTime::from_hms_opt(2, 0, 0).unwrap(),
        endpoint: None,
        instance: Some(Instance { id: "simulation".to_owned(), merchant: "one".to_owned() }),
        mailer: Mailer::new(
            MailRoute::parse(mail_url.as_str()).unwrap(),
            mailer::sender(None, "집체크 <billing@example.com>").unwrap(),
        ),
    })
}
