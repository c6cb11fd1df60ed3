//! Runs one seed: customers subscribe and months pass while faults are injected; then the faults end, everything
//! unfinished gets its time, and the final invariants are checked.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use common::domain::calendar::{seoul_date, seoul_instant};

use crate::{
    customers::Customer, final_invariants, gateway_proxy::PendingRequest, imports::ImportFile, invariants,
    rng::SeededRng, run_loop::ProcessSlot, testbed::TestBed, trace::Trace, webhooks::WebhookQueue,
};

/// A broken invariant: its number and what was seen.
pub(crate) type Violation = String;

/// How far the clock jumps.
#[derive(Clone, Copy)]
enum Jump {
    ToDue,
    Hours,
    Days,
    Weeks,
    /// Longer than a period: nothing ran meanwhile.
    Outage,
}

pub(crate) struct Simulation<'a> {
    pub(crate) testbed: &'a mut TestBed,
    pub(crate) rng: SeededRng,
    pub(crate) trace: Trace,
    pub(crate) customers: Vec<Customer>,
    /// Files of other systems that were imported.
    pub(crate) import_files: Vec<ImportFile>,
    pub(crate) imported_count: usize,
    pub(crate) webhooks: WebhookQueue,
    /// Won that may be refunded of each order, as requested.
    pub(crate) requested_refunds: BTreeMap<String, i64>,
    pub(crate) slots: Vec<ProcessSlot>,
    /// Requests to the gateway whose process died before they arrived.
    pub(crate) in_flight_requests: Vec<PendingRequest>,
    /// Whether faults, kills and random actions happen.
    pub(crate) faults_enabled: bool,
    /// Every call to the gateway fails.
    pub(crate) gateway_is_down: bool,
    /// The date whose daily jobs the scheduler has made.
    pub(crate) last_scheduled_date: Option<NaiveDate>,
    /// When rows of the job table were deleted last. Reset once a sweep has had time to replace them.
    pub(crate) jobs_deleted_at: Option<DateTime<Utc>>,
    pub(crate) deaths_while_mailing: usize,
    /// Forbidden writes that the schema accepted.
    pub(crate) accepted_writes: Vec<&'static str>,
    pub(crate) violations: Vec<Violation>,
}

/// Runs one seed. Returns the violations.
pub(crate) async fn run(testbed: &mut TestBed, seed: u64, trace: &Trace) -> Vec<Violation> {
    testbed.clean().await;
    let mut rng = SeededRng::new(seed);
    let workers = usize::try_from(rng.between(2, 4)).unwrap();
    let slots = ProcessSlot::all(testbed, workers);
    let mut simulation = Simulation {
        testbed,
        rng,
        trace: trace.clone(),
        customers: Vec::new(),
        import_files: Vec::new(),
        imported_count: 0,
        webhooks: WebhookQueue::default(),
        requested_refunds: BTreeMap::new(),
        slots,
        in_flight_requests: Vec::new(),
        faults_enabled: true,
        gateway_is_down: false,
        last_scheduled_date: None,
        jobs_deleted_at: None,
        deaths_while_mailing: 0,
        accepted_writes: Vec::new(),
        violations: Vec::new(),
    };
    simulation.run_with_faults().await;
    if simulation.violations.is_empty() {
        simulation.quiesce().await;
    }
    if simulation.violations.is_empty() {
        simulation.violations = final_invariants::all(&simulation).await;
    }
    simulation.violations
}

impl Simulation<'_> {
    async fn run_with_faults(&mut self) {
        self.choose_gateway_behaviour();
        let begin = "2026-11-22".parse().unwrap();
        let begin = seoul_instant(begin, NaiveTime::from_hms_opt(10, 0, 0).unwrap());
        let begin = begin + TimeDelta::days(self.rng.between(0, 400));
        let months = self.rng.weighted(&[(8, 1), (10, 2), (8, 3), (4, 6), (2, 12), (1, 24)]);
        let end = begin + TimeDelta::days(31 * months);
        self.testbed.set_clock(begin, &self.trace);
        let customers = if months > 6 { 2 } else { self.rng.between(2, 4) };
        self.trace.record(format!("{} workers, {customers} customers, {months} months", self.workers()));
        for _ in 0..customers {
            self.sign_up().await;
            self.advance_clock(TimeDelta::seconds(1)).await;
        }
        if self.rng.percent(20.0) {
            self.import_subscriptions().await;
        }
        // Most first payments succeed: a subscription that never begins shows nothing.
        self.faults_enabled = self.rng.percent(40.0);
        self.run_due_work().await;
        self.faults_enabled = true;
        while self.testbed.now() < end && self.violations.is_empty() {
            self.run_due_work().await;
            invariants::after_run(self).await;
            if !self.violations.is_empty() {
                // A stopped task may hold a lock that the next statements would wait for.
                return;
            }
            self.random_actions().await;
            while self.rng.percent(45.0) {
                self.start_api_request().await;
            }
            let to = self.next_clock(end).await;
            self.set_clock(to).await;
        }
    }

    /// Ends the faults and gives everything unfinished 73 hours to end.
    // A refund whose idempotency key the gateway has bound to a 500 stays unknown until the key expires after 15 days, and
    // with it the refunds of the same amount beside it, so the wait is extended for those.
    async fn quiesce(&mut self) {
        self.faults_enabled = false;
        self.trace.record("faults end");
        self.end_faults().await;
        // The sweep replaces a lost job after two minutes.
        let mut next = self.testbed.now() + TimeDelta::minutes(3);
        let mut end = self.testbed.now() + TimeDelta::hours(73);
        let mut is_extended = false;
        while self.violations.is_empty() {
            self.deliver_all_webhooks().await;
            self.retry_parked_jobs().await;
            self.decide_held_invoices().await;
            self.return_late_deposits().await;
            self.run_due_work().await;
            invariants::after_run(self).await;
            if self.testbed.now() >= end {
                let is_unknown = self.has_unknown_refund().await;
                if !is_unknown && !is_extended {
                    return;
                }
                // One more reconciliation: it books what the unknown refund had kept open.
                is_extended = is_unknown;
                end += TimeDelta::hours(25);
                next = self.next_due_at(end).await;
            }
            self.set_clock(next).await;
            next = self.next_due_at(end).await;
        }
    }

    /// Whether a refund is unknown whose idempotency key the gateway still keeps.
    async fn has_unknown_refund(&self) -> bool {
        let unknown = "select exists (select from refunds where status = 'unknown' and first_sent_at > $1)";
        sqlx::query_scalar(unknown)
            .bind(self.testbed.now() - TimeDelta::days(15))
            .fetch_one(self.testbed.admin_pool())
            .await
            .unwrap()
    }

    /// When the next job or the daily run is due.
    async fn next_due_at(&mut self, end: DateTime<Utc>) -> DateTime<Utc> {
        let now = self.testbed.now();
        let job: Option<DateTime<Utc>> =
            sqlx::query_scalar("select min(run_at) from jobs where state = 'available' and run_at > $1")
                .bind(now)
                .fetch_one(self.testbed.admin_pool())
                .await
                .unwrap();
        let run = seoul_instant(seoul_date(now), NaiveTime::from_hms_opt(2, 0, 1).unwrap());
        let run = if run > now { run } else { run + TimeDelta::days(1) };
        job.map_or(run, |job| job.max(now + TimeDelta::seconds(90)).min(run)).min(end)
    }

    pub(crate) async fn advance_clock(&mut self, by: TimeDelta) {
        let to = self.testbed.now() + by;
        self.set_clock(to).await;
    }

    /// Delivers requests in flight first: none outlasts a jump of the clock.
    pub(crate) async fn set_clock(&mut self, to: DateTime<Utc>) {
        self.deliver_in_flight_requests().await;
        self.testbed.set_clock(to, &self.trace);
    }

    /// Picks the next time: mostly when something is due, sometimes any, now and then after weeks without a run.
    async fn next_clock(&mut self, end: DateTime<Utc>) -> DateTime<Utc> {
        let now = self.testbed.now();
        let (unfinished, due) = self.agenda().await;
        if unfinished && self.rng.percent(60.0) {
            return now + TimeDelta::seconds(self.rng.between(20, 1_200));
        }
        let jump = self.rng.weighted(&[
            (60, Jump::ToDue),
            (20, Jump::Hours),
            (12, Jump::Days),
            (6, Jump::Weeks),
            (2, Jump::Outage),
        ]);
        let to = match jump {
            Jump::ToDue => due.unwrap_or(end) + TimeDelta::seconds(self.rng.between(7_201, 30_000)),
            Jump::Hours => now + TimeDelta::minutes(self.rng.between(30, 2_000)),
            Jump::Days => now + TimeDelta::hours(self.rng.between(24, 240)),
            Jump::Weeks => now + TimeDelta::days(self.rng.between(7, 21)),
            Jump::Outage => now + TimeDelta::days(40),
        };
        to.max(now + TimeDelta::seconds(20))
    }

    /// Whether a payment is unfinished, and when the system next has something to do.
    async fn agenda(&mut self) -> (bool, Option<DateTime<Utc>>) {
        sqlx::query_as(
            "select exists (select from payments where status in ('pending', 'unknown') and review_since is null
                               and deposit_due_at is null),
                    (select min(at) from (
                        select next_billing_date - interval '3 days' from subscriptions where status = 'active'
                        union all select next_billing_date from subscriptions where status in ('active', 'past_due')
                        union all select next_attempt_at from invoices where status = 'open'
                        union all select deposit_due_at from payments where status = 'unknown'
                        union all select repair_until - interval '12 hours' from subscriptions where status = 'incomplete'
                        union all select (effective_on - 1)::timestamp at time zone 'Asia/Seoul'
                          from plan_changes where status = 'pending') as dates (at)
                      where at > $1)",
        )
        .bind(self.testbed.now())
        .fetch_one(self.testbed.admin_pool())
        .await
        .unwrap()
    }
}
