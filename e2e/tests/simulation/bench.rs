//! What one thread runs its seeds on: a database, a sandbox, workers each behind a gate, one clock for all of them.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use common::{
    clock::{Clock, StandingClock},
    domain::dunning::Policy,
    email::Brand,
    seal::Sealer,
    store::gate::Instance,
};
use sandbox::Sandbox;
use sqlx::PgPool;
use tempfile::TempDir;
use toss::{Toss, TossConfig};
use worker::{
    env::{Env, Parts},
    gateway::rate_limiter::RateLimiter,
    mailer::{Mailer, Route},
    scheduler::Schedule,
};

use crate::{database::Database, gate::Gate, story::Story, wire::Wire};

const BILLING_SECRET: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
const WIDGET_SECRET: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";
/// 32 bytes, base64.
const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WORKERS: usize = 4;
/// So many wishes can meet.
pub(crate) const APIS: usize = 2;

/// One process of the system: a worker, or (the last ones) an API that takes the customers' wishes.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) env: Env,
    pub(crate) gate: Gate,
    pub(crate) wire: Wire,
}

impl Host {
    /// Begins anew after a death.
    pub(crate) fn revive(&mut self, database: &Database, clock: &StandingClock, mails: &TempDir) {
        let pool = database.pool(&self.name, &self.wire);
        self.env = environment(pool, self.env.toss.clone(), clock, mails);
    }
}

pub(crate) struct Bench {
    pub(crate) database: Database,
    pub(crate) sandbox: Sandbox,
    pub(crate) hosts: Vec<Host>,
    /// Asks the gateway itself, past the gates: for the checks.
    pub(crate) direct: Toss,
    pub(crate) schedule: Schedule,
    pub(crate) mails: TempDir,
    pub(crate) clock: StandingClock,
    now: DateTime<Utc>,
}

impl Bench {
    pub(crate) async fn set_up(thread: usize) -> Self {
        let database = Database::create(thread).await;
        let sandbox = Sandbox::start("127.0.0.1:0").await.unwrap();
        let (clock, mails) = (StandingClock::default(), tempfile::tempdir().unwrap());
        let mut hosts = Vec::new();
        for number in 0..WORKERS + APIS {
            let name = number.checked_sub(WORKERS).map_or(format!("w{number}"), |api| format!("api{api}"));
            let gate = Gate::before(sandbox.addr()).await;
            let wire = Wire::before(database.server()).await;
            let pool = database.pool(&name, &wire);
            let env = environment(pool, toss(&gate.url()), &clock, &mails);
            hosts.push(Host { name, env, gate, wire });
        }
        let direct = toss(&sandbox.url());
        let schedule = "0 0 2 * * *".parse().unwrap();
        Self { database, sandbox, hosts, direct, schedule, mails, clock, now: DateTime::UNIX_EPOCH }
    }

    pub(crate) async fn clean(&mut self) {
        for host in &mut self.hosts {
            host.wire.cut().await;
            while host.gate.take().is_some() {}
            host.revive(&self.database, &self.clock, &self.mails);
        }
        self.database.clean().await;
        self.sandbox.reset();
        for file in std::fs::read_dir(self.mails.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    pub(crate) fn revive(&mut self, host: usize) {
        self.hosts[host].revive(&self.database, &self.clock, &self.mails);
    }

    pub(crate) fn desk(&self) -> &PgPool {
        &self.database.desk
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Turns everybody's clock.
    pub(crate) fn set_clock(&mut self, at: DateTime<Utc>, story: &Story) {
        self.now = at;
        self.follow();
        story.at(at);
    }

    /// A step takes a second, however long this machine takes for it.
    pub(crate) fn tick(&mut self) {
        self.now += TimeDelta::seconds(1);
        self.follow();
    }

    fn follow(&mut self) {
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
        rate_limiter: RateLimiter::new(1_000_000),
        sealer: Sealer::parse(SEALING_KEYS).unwrap(),
        brand: Brand { name: "집체크".to_owned(), public_url: "https://example.com".parse().unwrap() },
        dunning: Policy { retry_days: vec![3, 3] },
        charge_time: NaiveTime::from_hms_opt(2, 0, 0).unwrap(),
        endpoint: None,
        instance: Some(Instance { id: "simulation".to_owned(), merchant: "one".to_owned() }),
        mailer: Mailer::new(Route::to(&mail_url).unwrap(), "집체크 <billing@example.com>".parse().unwrap()),
    })
}
