//! A whole system in one process: real PostgreSQL, the real handlers, the sandbox over HTTP, a clock that only moves by hand.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use common::clock::{Clock, StandingClock};
use common::commands::cancel::{CancelSubscription, cancel_subscription};
use common::commands::confirm::{Confirmation, record_confirmation};
use common::commands::resume;
use common::domain::actor::{Actor, Reason};
use common::domain::calendar::{Cycle, seoul_date};
use common::domain::dunning::Policy;
use common::domain::invoice::Invoice;
use common::domain::payment::Payment;
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::email::Brand;
use common::mailer;
use common::mailer::{MailRoute, Mailer};
use common::seal::Sealer;
use common::store::gate::Instance;
use common::store::{invoices, payments, plans, subscriptions};
use ops::action::{Acting, Author, parse_reason};
use sandbox::{LedgerQuery, Purchase, Sandbox};
use sqlx::PgPool;
use tempfile::TempDir;
use toss::{Toss, TossConfig};
use uuid::Uuid;
use worker::endpoint::Endpoint;
use worker::env::{Env, Parts};
use worker::gateway::rate_limiter::RateLimiter;
use worker::scheduler::Schedule;
use worker::{jobs, scheduler, sweep};

use crate::mailbox::{ReceivedEmail, read_emails};

pub(crate) const GOOD: &str = "4300-0000-0000-0001";
pub(crate) const NO_BALANCE: &str = "4300-0000-0000-0002";

const BILLING_SECRET: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
const WIDGET_SECRET: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";
/// 32 bytes, base64.
const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) sandbox: Sandbox,
    pub(crate) env: Env,
    pub(crate) schedule: Schedule,
    clock: StandingClock,
    mails: TempDir,
}

/// What a subscription's history ended in, read afresh.
pub(crate) struct History {
    pub(crate) subscription: Subscription,
    pub(crate) payments: Vec<Payment>,
}

impl History {
    pub(crate) fn status(&self) -> SubscriptionStatus {
        self.subscription.status
    }

    pub(crate) fn next_charge_on(&self) -> NaiveDate {
        seoul_date(self.subscription.next_billing_date)
    }

    pub(crate) fn statuses(&self) -> Vec<String> {
        self.payments.iter().map(|payment| payment.status.to_string()).collect()
    }
}

impl World {
    /// Begins at ten in the morning in Seoul on this civil date.
    pub(crate) async fn on(pool: PgPool, date: &str) -> Self {
        Self::telling(pool, date, None).await
    }

    /// As [`World::on`], with events going to this endpoint.
    pub(crate) async fn telling(pool: PgPool, date: &str, endpoint: Option<Endpoint>) -> Self {
        let sandbox = Sandbox::start("127.0.0.1:0").await.unwrap();
        sandbox.set_switches(|switches| switches.strict_key_pairs = true);
        let clock = StandingClock::default();
        let mails = tempfile::tempdir().unwrap();
        let env = environment(&pool, &sandbox, &clock, &mails, (endpoint, None));
        let schedule = "0 0 2 * * *".parse().unwrap();
        let mut world = Self { pool, sandbox, env, schedule, clock, mails };
        world.set_clock(&format!("{date}T10:00:00+09:00"));
        sweep::announce_endpoint(&world.env).await.unwrap();
        world
    }

    /// From now on the worker runs as this installation, with a secret key of this fingerprint.
    pub(crate) fn install(&mut self, id: &str, key: &str) {
        let instance = Instance { id: id.to_owned(), merchant: key.to_owned() };
        self.env = environment(&self.pool, &self.sandbox, &self.clock, &self.mails, (None, Some(instance)));
    }

    /// Looking takes a millisecond, so that what is done after something has a later time than it. Nothing else passes
    /// by itself: no test depends on how fast the machine is.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.stop_clocks(self.env.clock.now() + TimeDelta::milliseconds(1));
        self.env.clock.now()
    }

    pub(crate) fn today(&self) -> NaiveDate {
        seoul_date(self.now())
    }

    /// Turns the clock, the sandbox's with it. Nothing runs by that alone.
    pub(crate) fn set_clock(&mut self, at: &str) {
        self.stop_clocks(DateTime::parse_from_rfc3339(at).unwrap().to_utc());
    }

    pub(crate) fn advance(&mut self, by: TimeDelta) {
        self.stop_clocks(self.now() + by);
    }

    fn stop_clocks(&self, at: DateTime<Utc>) {
        self.clock.set(at);
        self.sandbox.stop_clock(at);
    }

    /// What the worker does at a start, at a tick and after a move of the clock: then runs all that is due.
    pub(crate) async fn settle(&self) {
        scheduler::catch_up(&self.env, &self.schedule).await.unwrap();
        sweep::sweep(&self.env).await.unwrap();
        self.run_due_jobs().await;
    }

    pub(crate) async fn run_due_jobs(&self) {
        for _ in 0..10_000 {
            self.now();
            if jobs::run_one(&self.env, "by hand").await.unwrap().is_none() {
                return;
            }
        }
        panic!("jobs make jobs without end");
    }

    /// Lives through the next `days`, each with its run at two in the morning, and ends at ten in the morning.
    pub(crate) async fn live(&mut self, days: u32) {
        for _ in 0..days {
            let date = self.today().succ_opt().unwrap();
            self.set_clock(&format!("{date}T02:00:01+09:00"));
            self.settle().await;
            self.set_clock(&format!("{date}T10:00:00+09:00"));
            self.settle().await;
        }
    }

    pub(crate) async fn live_until(&mut self, date: &str) {
        while self.today() < date.parse().unwrap() {
            self.live(1).await;
        }
    }

    /// A customer pays in the payment window, and the confirmation is recorded. Its job has not run yet.
    pub(crate) async fn order(&self, order_id: &str, card: &str, plan: &str, cycle: Cycle) -> Uuid {
        let mut tx = self.pool.begin().await.unwrap();
        let price = plans::find(&mut tx, plan).await.unwrap().unwrap().price(cycle);
        let user_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, order_id.as_bytes());
        let open = self
            .sandbox
            .pay(Purchase::new(order_id, price.get().into()).card(card).customer(&user_id.to_string()))
            .unwrap();
        let asked = Confirmation {
            user_id,
            payment_key: open.payment_key,
            order_id: order_id.to_owned(),
            amount: price,
            plan: plan.to_owned(),
            cycle,
            customer_key: user_id.to_string(),
            customer_email: "user@example.com".to_owned(),
            customer_name: "홍길동".to_owned(),
        };
        let attempt = record_confirmation(&mut tx, &asked, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        attempt.subscription_id
    }

    /// A paid and active subscription to the personal plan.
    pub(crate) async fn subscriber(&self, cycle: Cycle) -> Uuid {
        self.subscriber_called("ORDER_1", cycle).await
    }

    pub(crate) async fn subscriber_called(&self, order_id: &str, cycle: Cycle) -> Uuid {
        let id = self.order(order_id, GOOD, "personal", cycle).await;
        self.run_due_jobs().await;
        assert_eq!(self.history(id).await.status(), SubscriptionStatus::Active);
        id
    }

    /// From now on the bank treats this subscription's card so.
    pub(crate) async fn card_now(&self, id: Uuid, outcome: &str) {
        let customer = self.history(id).await.subscription.customer_key;
        self.sandbox.set_customer(&customer, outcome.to_owned().into());
    }

    pub(crate) async fn cancel(&self, id: Uuid) -> Subscription {
        let mut tx = self.pool.begin().await.unwrap();
        let wish = CancelSubscription {
            subscription_id: id,
            user_id: None,
            actor: "customer:test",
            reason: "서비스 불만족",
        };
        let now = self.now();
        let canceled = cancel_subscription(&mut tx, &self.env.brand, wish, now).await.unwrap();
        tx.commit().await.unwrap();
        canceled
    }

    /// An operator of this name, who acts now.
    pub(crate) fn acting(&self, name: &str) -> Acting {
        let actor = Actor::command_line(name, "root", None);
        Acting { actor, brand: self.env.brand.clone(), now: self.now() }
    }

    /// The same for a change that is no action.
    pub(crate) fn author(&self, name: &str, reason: &str) -> Author {
        Author { actor: self.acting(name).actor, reason: parse_reason(reason).unwrap(), now: self.now() }
    }

    /// Takes a cancel back.
    pub(crate) async fn resume(&self, id: Uuid) {
        let mut tx = self.pool.begin().await.unwrap();
        let wish = resume::ResumeSubscription { subscription_id: id, user_id: None, actor: "customer:test" };
        resume::resume_subscription(&mut tx, wish, self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn history(&self, id: Uuid) -> History {
        let mut conn = self.pool.acquire().await.unwrap();
        let subscription = subscriptions::find(&mut conn, id).await.unwrap().unwrap();
        let mut payments = payments::page_of_subscription(&mut conn, id, None, 100).await.unwrap();
        payments.reverse();
        History { subscription, payments }
    }

    pub(crate) async fn unsettled_invoices(&self, id: Uuid) -> Vec<Invoice> {
        let mut conn = self.pool.acquire().await.unwrap();
        invoices::unsettled_of(&mut conn, id).await.unwrap()
    }

    /// What the sandbox has captured less what it has given back, for this subscription's customer.
    pub(crate) async fn net(&self, id: Uuid) -> i64 {
        let customer = self.history(id).await.subscription.customer_key;
        self.sandbox.ledger(&LedgerQuery::customer(&customer)).net
    }

    /// How often the bank has been asked to charge this subscription's card, first payment left out.
    pub(crate) async fn charges_asked(&self, id: Uuid) -> u64 {
        let customer = self.history(id).await.subscription.customer_key;
        self.sandbox.ledger(&LedgerQuery::customer(&customer)).asked(sandbox::Operation::Charge)
    }

    pub(crate) fn emails(&self) -> Vec<ReceivedEmail> {
        read_emails(self.mails.path())
    }

    pub(crate) fn subjects(&self) -> Vec<String> {
        self.emails().into_iter().map(|email| email.subject).collect()
    }
}

/// A reason for an operator's action.
pub(crate) fn reason(text: &str) -> Reason {
    Reason::parse(text).unwrap()
}

fn environment(
    pool: &PgPool,
    sandbox: &Sandbox,
    clock: &StandingClock,
    mails: &TempDir,
    (endpoint, instance): (Option<Endpoint>, Option<Instance>),
) -> Env {
    let config = TossConfig::new(sandbox.url().parse().unwrap(), BILLING_SECRET.into(), WIDGET_SECRET.into());
    // Lost answers are lost soon here; everything else is as in production.
    let timeout = std::time::Duration::from_secs(6);
    let toss = Toss::with_short_answer_timeout_for_tests(config, timeout).unwrap();
    let mail_url = url::Url::from_directory_path(mails.path()).unwrap();
    Env::new(Parts {
        pool: pool.clone(),
        clock: Clock::Standing(clock.clone()),
        toss,
        rate_limiter: RateLimiter::new(10_000),
        sealer: Sealer::parse(SEALING_KEYS).unwrap(),
        brand: Brand { name: "집체크".to_owned(), public_url: "https://example.com".parse().unwrap() },
        dunning: Policy { retry_days: vec![3, 3] },
        charge_time: NaiveTime::from_hms_opt(2, 0, 0).unwrap(),
        instance,
        endpoint,
        mailer: Mailer::new(
            MailRoute::parse(mail_url.as_str()).unwrap(),
            mailer::sender(None, "집체크 <billing@example.com>").unwrap(),
        ),
    })
}
