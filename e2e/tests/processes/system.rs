//! A whole system of processes on a database of its own: the sandbox, the workers, and a clock turned through the database.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Asia::Seoul;
use common::clock::{Clock, ClockKind, TestClock};
use common::commands::confirm::{Confirmation, record_confirmation};
use common::domain::calendar::Cycle;
use common::domain::refund::Refund;
use common::domain::subscription::SubscriptionStatus;
use common::jobs;
use common::jobs::RefundPayment;
use common::store::{payments, plans, refunds, settings, subscriptions};
use sandbox::{Ledger, LedgerQuery, Operation, Purchase, Sandbox};
use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;
use testing::{free_address, until};
use url::Url;
use uuid::Uuid;

use crate::program::Program;

/// 32 bytes, base64.
const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) struct System {
    pub(crate) pool: PgPool,
    pub(crate) sandbox: Sandbox,
    clock: TestClock,
    mails: TempDir,
}

impl System {
    /// Begins at ten in the morning in Seoul on this civil date. No process runs yet.
    pub(crate) async fn on(pool: PgPool, date: &str) -> Self {
        let sandbox = Sandbox::start("127.0.0.1:0").await.unwrap();
        sandbox.set_switches(|switches| switches.strict_key_pairs = true);
        let mails = tempfile::tempdir().unwrap();
        let system = Self { pool, sandbox, clock: TestClock::default(), mails };
        let mut conn = system.pool.acquire().await.unwrap();
        settings::join_clock(&mut conn, ClockKind::Test).await.unwrap();
        system.move_clock(system.until(date, "10:00:00")).await;
        drop(conn);
        system
    }

    /// With a clock that nobody moves.
    pub(crate) async fn on_this_machines_time(pool: PgPool) -> Self {
        let sandbox = Sandbox::start("127.0.0.1:0").await.unwrap();
        Self { pool, sandbox, clock: TestClock::default(), mails: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        Clock::Test(self.clock.clone()).now()
    }

    /// Turns everybody's clock to this time in Seoul; returns when every running process has followed.
    pub(crate) async fn set_clock(&self, date: &str, time: &str) {
        self.advance(self.until(date, time)).await;
    }

    fn until(&self, date: &str, time: &str) -> TimeDelta {
        let time: NaiveTime = time.parse().unwrap();
        let at = date.parse::<chrono::NaiveDate>().unwrap().and_time(time).and_local_timezone(Seoul).unwrap();
        at.to_utc() - self.now()
    }

    pub(crate) async fn advance(&self, by: TimeDelta) {
        self.move_clock(by).await;
        // What `billing clock` promises: by then every process has followed.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    async fn move_clock(&self, by: TimeDelta) {
        let mut conn = self.pool.acquire().await.unwrap();
        let moved = settings::move_clock(&mut conn, by.num_milliseconds()).await.unwrap();
        self.clock.follow(moved.offset_ms, moved.moves);
        self.sandbox.set_clock(self.now()).unwrap();
    }

    /// Turns the clock step by step, letting everything due happen in between, until `look` sees what it looks for.
    pub(crate) async fn live_until(&self, what: &str, step: TimeDelta, mut look: impl AsyncFnMut() -> bool) {
        for _ in 0..40 {
            self.quiet().await;
            if look().await {
                return;
            }
            self.advance(step).await;
        }
        panic!("the clock was turned by 40 times {step} without {what}");
    }

    /// Waits until no job is due or running.
    pub(crate) async fn quiet(&self) {
        until("all due jobs to be done", async || {
            let busy = sqlx::query(
                "select 1 from jobs where state = 'running' or (state = 'available' and run_at <= $1) limit 1",
            )
            .bind(self.now());
            busy.fetch_optional(&self.pool).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    pub(crate) fn database_url(&self) -> Url {
        self.pool.connect_options().to_url_lossy()
    }

    /// A worker as it is deployed, with every variable it needs.
    pub(crate) fn worker(&self) -> Program {
        Program::named("billing-worker")
            .var("DATABASE_URL", self.database_url())
            .var("WORKER_ADDR", free_address())
            .var("TOSS_BASE_URL", self.sandbox.url())
            .var("TOSS_SECRET_KEY", "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R")
            .var("TOSS_WIDGET_SECRET_KEY", "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6")
            .var("TOSS_MAX_RPS", 1_000)
            .var("BILLING_KEY_ENCRYPTION_KEYS", SEALING_KEYS)
            .var("MAIL_URL", Url::from_directory_path(self.mails.path()).unwrap())
            .var("MAIL_FROM", "집체크 <billing@example.com>")
            .var("CHARGE_CONCURRENCY", 4)
            .var("STOP_DELAY_SECS", 0)
            .var("CLOCK", "test")
    }

    /// Ends the leases of a dead process and takes them back.
    pub(crate) async fn leases_run_out(&self) {
        let ended = sqlx::query(
            "update jobs set lease_until = clock_timestamp() - interval '1 second' where state = 'running'",
        );
        ended.execute(&self.pool).await.unwrap();
        queue::rescue(&self.pool, Duration::from_millis(1), 3).await.unwrap();
    }

    /// A customer pays in the payment window, and the confirmation is recorded. No worker has seen it yet.
    pub(crate) async fn order(&self, order_id: &str) -> Uuid {
        let mut tx = self.pool.begin().await.unwrap();
        let price = plans::find(&mut tx, "personal").await.unwrap().unwrap().price(Cycle::Monthly);
        let user_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, order_id.as_bytes());
        let purchase = Purchase::new(order_id, price.get().into()).customer(&user_id.to_string());
        let asked = Confirmation {
            user_id,
            payment_key: self.sandbox.pay(purchase).unwrap().payment_key,
            order_id: order_id.to_owned(),
            amount: price,
            plan: "personal".to_owned(),
            cycle: Cycle::Monthly,
            customer_key: user_id.to_string(),
            customer_email: "user@example.com".to_owned(),
            customer_name: "홍길동".to_owned(),
        };
        let attempt = record_confirmation(&mut tx, &asked, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        attempt.subscription_id
    }

    /// A paid and active subscription; the worker that did it has stopped.
    pub(crate) async fn subscriber(&self) -> Uuid {
        let id = self.order("ORDER_1").await;
        let mut worker = self.worker().start();
        until("the first payment", async || self.is(id, SubscriptionStatus::Active).await.then_some(()))
            .await;
        self.quiet().await;
        worker.terminate();
        assert!(worker.end().await.success());
        id
    }

    /// An operator gives the first payment back. No worker has seen it yet.
    pub(crate) async fn refund(&self, id: Uuid) {
        let mut tx = self.pool.begin().await.unwrap();
        let payment =
            payments::page_of_subscription(&mut tx, id, None, 10).await.unwrap().pop().expect("a payment");
        let refund = Refund::new(payment.id, payment.amount, "고객 요청", "operator:test", self.now());
        let refund_id = refunds::insert(&mut tx, &refund, "by hand", self.now()).await.unwrap().unwrap();
        let job = RefundPayment { refund_id, subscription_id: id };
        jobs::enqueue(&mut tx, &job, self.now(), self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn is(&self, id: Uuid, status: SubscriptionStatus) -> bool {
        let mut conn = self.pool.acquire().await.unwrap();
        subscriptions::find(&mut conn, id).await.unwrap().unwrap().status == status
    }

    /// The bank's book, for this subscription's customer.
    pub(crate) async fn ledger(&self, id: Uuid) -> Ledger {
        let mut conn = self.pool.acquire().await.unwrap();
        let customer = subscriptions::find(&mut conn, id).await.unwrap().unwrap().customer_key;
        self.sandbox.ledger(&LedgerQuery::customer(&customer))
    }

    /// How often the bank was asked to do this, for anybody.
    pub(crate) fn asked(&self, operation: Operation) -> u64 {
        self.sandbox.ledger(&LedgerQuery::default()).asked(operation)
    }

    /// Where e-mails go unless `MAIL_URL` says otherwise.
    pub(crate) fn mail_folder(&self) -> &std::path::Path {
        self.mails.path()
    }
}
