//! Runs everything that is due: the scheduler, the sweep, and all jobs and requests, interleaved statement by statement
//! in an order that the seed decides.

use std::{collections::BTreeSet, time::Duration};

use chrono::{Days, NaiveDate, TimeDelta};
use common::domain::calendar::seoul_date;
use sandbox::LedgerQuery;
use worker::{jobs, scheduler, sweep};

use crate::simulation::Simulation;
use crate::task_driver::{LockHolders, TaskDriver, TaskState};
use crate::testbed::{APIS, TestBed};
use crate::{faults, invariants, trace};

/// Longer than any seed takes: a lease ends only when the simulation expires it.
const LEASE: Duration = Duration::from_hours(1);
/// More steps than any run needs: beyond them, jobs enqueue each other without end.
const MAX_STEPS: usize = 5_000;
/// How the output of a task begins that has seen a violation.
const VIOLATION: &str = "VIOLATION";

/// A place for one process and its task.
pub(crate) struct ProcessSlot {
    pub(crate) process: usize,
    pub(crate) task: Option<RunningTask>,
    /// It found no job, and nothing has happened since.
    is_idle: bool,
}

pub(crate) struct RunningTask {
    pub(crate) driver: TaskDriver,
    pub(crate) description: String,
    /// Id and kind; `None` for a request to an API.
    pub(crate) job: Option<(i64, String)>,
    pub(crate) waits_for_lock: bool,
}

impl ProcessSlot {
    /// The workers, then the APIs.
    pub(crate) fn all(testbed: &TestBed, workers: usize) -> Vec<Self> {
        let processes = (0..workers).chain(testbed.processes.len() - APIS..testbed.processes.len());
        processes.map(|process| Self { process, task: None, is_idle: false }).collect()
    }
}

fn lock_holders(testbed: &TestBed) -> LockHolders<'_> {
    LockHolders {
        backends: testbed.processes.iter().flat_map(|process| process.postgres.busy()).collect(),
        admin_pool: testbed.admin_pool(),
    }
}

impl Simulation<'_> {
    pub(crate) async fn run_due_work(&mut self) {
        self.run_scheduler().await;
        self.wake_all_slots();
        for _ in 0..MAX_STEPS {
            if !self.violations.is_empty() || !self.step_one().await {
                self.deliver_in_flight_requests().await;
                return;
            }
        }
        self.violations.push("I8: jobs enqueue jobs without end".to_owned());
    }

    pub(crate) fn wake_all_slots(&mut self) {
        for slot in &mut self.slots {
            slot.is_idle = false;
        }
    }

    pub(crate) fn workers(&self) -> usize {
        self.slots.len() - APIS
    }

    /// Lets one process do one step. Returns false when none has anything to do.
    async fn step_one(&mut self) -> bool {
        if self.faults_enabled {
            self.inject_fault().await;
        }
        let workers = self.workers();
        let ready = |(number, slot): (usize, &ProcessSlot)| match &slot.task {
            Some(task) => (!task.waits_for_lock).then_some(number),
            None => (number < workers && !slot.is_idle).then_some(number),
        };
        let ready: Vec<usize> = self.slots.iter().enumerate().filter_map(ready).collect();
        if ready.is_empty() {
            if self.slots.iter().any(|slot| slot.task.is_some()) {
                self.violations.push("I8: all running tasks wait for locks of each other".to_owned());
            }
            return false;
        }
        let slot = self.rng.pick(&ready);
        self.testbed.tick();
        if self.slots[slot].task.is_some() {
            self.step_task(slot).await;
        } else {
            self.claim_job(slot).await;
        }
        true
    }

    async fn claim_job(&mut self, slot: usize) {
        let process = &self.testbed.processes[self.slots[slot].process];
        let now = self.testbed.now();
        let claimed =
            queue::claim(&process.env.pool, jobs::KINDS, 1, LEASE, &process.name, now).await.unwrap();
        let Some(claimed) = claimed.into_iter().next() else {
            // No other process would find a job either.
            self.slots.iter_mut().for_each(|slot| slot.is_idle = true);
            return;
        };
        let description = format!("{} {}", claimed.kind, trace::job_label(self, &claimed.args));
        self.trace.record(format!("{} takes job {}: {description}", process.name, claimed.id));
        let (env, job) = (process.env.clone(), Some((claimed.id, claimed.kind.clone())));
        let task = async move { format!("{:?}", jobs::run_claimed(&env, claimed).await) };
        let driver = TaskDriver::start(process, Box::pin(task));
        self.slots[slot].task = Some(RunningTask { driver, description, job, waits_for_lock: false });
    }

    async fn step_task(&mut self, slot: usize) {
        let process = self.slots[slot].process;
        self.release_request(process).await;
        let statements = if self.faults_enabled {
            self.rng.weighted(&[(5, 1_000), (1, 1), (1, 2), (1, 4), (1, 8)])
        } else {
            1_000
        };
        let Some(task) = &mut self.slots[slot].task else { return };
        let state = task.driver.advance(statements, &lock_holders(self.testbed)).await;
        task.waits_for_lock = state == TaskState::WaitingForLock;
        match state {
            TaskState::BetweenStatements => {}
            TaskState::WaitingForLock => {
                self.trace.record(format!("{} waits for a lock", self.testbed.processes[process].name));
            }
            TaskState::WaitingForGateway => self.wake_all_slots(),
            TaskState::Done(output) => {
                let line =
                    format!("{} ends {}: {output}", self.testbed.processes[process].name, task.description);
                if output.starts_with(VIOLATION) {
                    self.violations.push(line.clone());
                }
                self.trace.record(line);
                self.slots[slot].task = None;
                self.wake_all_slots();
            }
        }
        self.recheck_lock_waiters().await;
    }

    /// Lets tasks go on whose lock the last step has released, before any other step.
    pub(crate) async fn recheck_lock_waiters(&mut self) {
        for slot in &mut self.slots {
            if let Some(task) = slot.task.as_mut().filter(|task| task.waits_for_lock) {
                task.waits_for_lock = task.driver.is_waiting_for_lock(&lock_holders(self.testbed)).await;
            }
        }
    }

    /// Sends the pending request of the process to the sandbox, with or without a fault.
    async fn release_request(&mut self, process: usize) {
        let Some(request) = self.testbed.processes[process].gateway.next_request() else { return };
        let Some(pending) = self.testbed.processes[process].gateway.take() else { return };
        invariants::before_request(self, &request).await;
        let mut fault = None;
        if self.gateway_is_down || self.faults_enabled && self.rng.percent(30.0) {
            let effect = faults::random_effect(request.operation, self.gateway_is_down, &mut self.rng);
            self.testbed.sandbox.fault(sandbox::Fault::next(request.operation, effect.clone())).unwrap();
            fault = Some(effect);
        }
        let answer = pending.release().await;
        self.testbed.sandbox.clear_faults();
        let name = trace::order_label(self, &request.name);
        let fault = fault.map(|effect| format!(" ({effect:?})")).unwrap_or_default();
        let process = &self.testbed.processes[process].name;
        self.trace.record(format!("{process} sends {:?} {name}: {answer}{fault}", request.operation));
    }
}
impl Simulation<'_> {
    /// Runs the scheduler once a day, or after jobs were deleted, and the sweep.
    async fn run_scheduler(&mut self) {
        let due = self.testbed.schedule.last_due(self.testbed.now());
        let lost = self.jobs_deleted_at.is_some();
        if lost || due != self.last_scheduled_date {
            self.last_scheduled_date = due;
            self.enqueue_daily_jobs(due.unwrap()).await;
        }
        let swept = sweep::sweep(&self.testbed.processes[0].env).await.unwrap();
        if swept > 0 {
            self.trace.record(format!("the sweep enqueues {swept} jobs"));
        }
        // The sweep ignores rows younger than two minutes.
        self.jobs_deleted_at =
            self.jobs_deleted_at.filter(|at| self.testbed.now() - *at < TimeDelta::minutes(3));
    }

    /// Enqueues the daily jobs. Days without money movements count as reconciled: comparing them would only take time.
    async fn enqueue_daily_jobs(&mut self, date: NaiveDate) {
        let entries = self.testbed.sandbox.ledger(&LedgerQuery::default()).entries;
        let moved: BTreeSet<NaiveDate> = entries.iter().map(|entry| seoul_date(entry.at)).collect();
        let a_month_ago = date.checked_sub_days(Days::new(31)).unwrap();
        let first = moved.first().map_or(a_month_ago, |first| a_month_ago.min(*first));
        let idle = first.iter_days().take_while(|day| *day < date);
        let idle: Vec<NaiveDate> = idle.filter(|day| !moved.contains(day)).collect();
        let reconciled = sqlx::query(
            "insert into reconciliation_runs (id, date, job_id, started_at, finished_at, captures, refunds, payments,
                                              our_refunds, discrepancies_open, discrepancies_new, discrepancies_ended)
             select gen_random_uuid(), day, 0, $2, $2, 0, 0, 0, 0, 0, 0, 0 from unnest($1::date[]) day
              where not exists (select from reconciliation_runs run where run.date = day)",
        );
        reconciled.bind(&idle).bind(self.testbed.now()).execute(self.testbed.admin_pool()).await.unwrap();
        scheduler::catch_up(&self.testbed.processes[0].env, &self.testbed.schedule).await.unwrap();
        let skipped = sqlx::query(
            "delete from jobs where kind = 'reconcile-payments' and state = 'available'
                and (subject->>'date')::date = any ($1)
                and not exists (select from discrepancies
                                 where discrepancies.date = (subject->>'date')::date and discrepancies.resolved_at is null)",
        );
        skipped.bind(&idle).execute(self.testbed.admin_pool()).await.unwrap();
    }
}
