//! What one thread runs its seeds on: a database, a sandbox, workers each behind a gate, one clock for all of them.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use common::{
    clock::{Clock, TestClock},
    domain::dunning::Policy,
    mail::Brand,
    seal::Sealer,
};
use sandbox::Sandbox;
use sqlx::PgPool;
use tempfile::TempDir;
use toss::{Toss, TossConfig};
use worker::{
    env::{Env, Parts},
    mailer::Mailer,
    pace::Pace,
    scheduler::Schedule,
};

use crate::{database::Database, gate::Gate, story::Story, wire::Wire};

const BILLING_SECRET: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
const WIDGET_SECRET: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";
/// 32 bytes, base64.
const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WORKERS: usize = 4;

/// One process of the system: a worker, or (the last) an API that takes the customers' wishes.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) env: Env,
    pub(crate) pool: PgPool,
    pub(crate) gate: Gate,
    pub(crate) wire: Wire,
}

pub(crate) struct Bench {
    pub(crate) database: Database,
    pub(crate) sandbox: Sandbox,
    pub(crate) hosts: Vec<Host>,
    /// Asks the gateway itself, past the gates: for the checks.
    pub(crate) direct: Toss,
    pub(crate) schedule: Schedule,
    pub(crate) mails: TempDir,
    clock: TestClock,
    now: DateTime<Utc>,
    moves: i64,
}

impl Bench {
    pub(crate) async fn set_up(thread: usize) -> Self {
        let database = Database::create(thread).await;
        let sandbox = Sandbox::start("127.0.0.1:0").await.unwrap();
        let (clock, mails) = (TestClock::default(), tempfile::tempdir().unwrap());
        let mut hosts = Vec::new();
        for number in 0..=WORKERS {
            let name = if number < WORKERS { format!("w{number}") } else { "api".to_owned() };
            let gate = Gate::before(sandbox.addr()).await;
            let wire = Wire::before(database.server()).await;
            let pool = database.pool(&name, &wire);
            let env = environment(&pool, &gate.url(), &clock, &mails);
            hosts.push(Host { name, env, pool, gate, wire });
        }
        let direct = toss(&sandbox.url());
        let schedule = "0 0 2 * * *".parse().unwrap();
        Self { database, sandbox, hosts, direct, schedule, mails, clock, now: DateTime::UNIX_EPOCH, moves: 0 }
    }

    pub(crate) async fn clean(&mut self) {
        self.database.clean().await;
        self.sandbox.reset();
        for file in std::fs::read_dir(self.mails.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
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

    /// A step takes a second, however long this machine takes for it: longer, so that the order of what steps write is
    /// the order of the steps.
    pub(crate) fn tick(&mut self) {
        self.now += TimeDelta::seconds(1);
        self.follow();
    }

    fn follow(&mut self) {
        self.moves += 1;
        let offset = self.now - Clock::System.now();
        self.clock.follow(offset.num_milliseconds(), self.moves);
        self.sandbox.set_clock(self.now).unwrap();
    }
}

fn toss(url: &str) -> Toss {
    let config = TossConfig::new(url.parse().unwrap(), BILLING_SECRET.into(), WIDGET_SECRET.into());
    Toss::new(config).unwrap()
}

fn environment(pool: &PgPool, url: &str, clock: &TestClock, mails: &TempDir) -> Env {
    let mail_url = url::Url::from_directory_path(mails.path()).unwrap();
    Env::new(Parts {
        pool: pool.clone(),
        clock: Clock::Test(clock.clone()),
        toss: toss(url),
        pace: Pace::new(1_000_000),
        sealer: Sealer::parse(SEALING_KEYS).unwrap(),
        brand: Brand { name: "집체크".to_owned(), public_url: "https://example.com".parse().unwrap() },
        dunning: Policy { retry_days: vec![3, 3] },
        charge_time: NaiveTime::from_hms_opt(2, 0, 0).unwrap(),
        instance: None,
        mailer: Mailer::new(&mail_url, "집체크 <billing@example.com>").unwrap(),
    })
}
