//! The faults of a seed: faulty answers of the gateway, killed processes, expired leases, jumps of the clock, deleted
//! rows of the job table, and requests at the worst moment. No fault waits for real time.

use std::time::Duration;

use chrono::TimeDelta;
use sandbox::{Effect, Operation};

use crate::rng::SeededRng;
use crate::run_loop::{ProcessSlot, RunningTask};
use crate::simulation::Simulation;
use crate::trace;

/// The value of `queue::QueueConfig` in production.
const MAX_CRASHES: i32 = 3;

fn error(code: &str) -> Effect {
    Effect::Error { code: code.to_owned(), status: None, message: None }
}

fn unknown_outcomes() -> Vec<(u32, Effect)> {
    vec![
        (5, Effect::ApproveThenCut),
        (4, Effect::Error500Approved),
        (4, Effect::Error500NotApproved),
        (3, Effect::Status429),
        (3, Effect::Status409),
        (3, Effect::Garbage),
        (3, Effect::AnswerWrongAmount),
    ]
}

/// Picks the fault of a call.
pub(crate) fn random_effect(operation: Operation, gateway_is_down: bool, rng: &mut SeededRng) -> Effect {
    if gateway_is_down {
        return Effect::Error500NotApproved;
    }
    let mut possible = unknown_outcomes();
    match operation {
        Operation::Lookup => possible.push((6, Effect::Lookup404)),
        Operation::Charge | Operation::Confirm => possible.extend([
            (4, error("REJECT_CARD_PAYMENT")),
            (3, error("MAINTAINED_METHOD")),
            (2, error("PROVIDER_ERROR")),
            (1, error("INVALID_STOPPED_CARD")),
            (1, error("A_CODE_OF_TOMORROW")),
        ]),
        Operation::Cancel => possible.push((2, error("PROVIDER_ERROR"))),
        Operation::Issue | Operation::Delete | Operation::Transactions => {}
    }
    rng.weighted(&possible)
}

impl Simulation<'_> {
    /// Injects at most one fault between two steps.
    pub(crate) async fn inject_fault(&mut self) {
        match self.rng.between(0, 999) {
            0..30 => self.kill_process().await,
            30..40 => self.expire_lease().await,
            40..46 => {
                let jump = self.rng.between(1, 90);
                self.advance_clock(TimeDelta::minutes(jump)).await;
                self.wake_all_slots();
            }
            46..50 => self.delete_jobs().await,
            50..95 => self.start_api_request().await,
            95..97 => self.refund_in_dashboard(),
            97..123 => self.deliver_in_flight_requests().await,
            123..138 => self.attempt_forbidden_write().await,
            _ => {}
        }
    }

    /// A random process whose task can be killed now.
    fn killable_slot(&mut self) -> Option<usize> {
        let killable = |(number, slot): (usize, &ProcessSlot)| {
            slot.task.as_ref().filter(|task| task.driver.can_be_killed()).map(|_| number)
        };
        let killable: Vec<usize> = self.slots.iter().enumerate().filter_map(killable).collect();
        (!killable.is_empty()).then(|| self.rng.pick(&killable))
    }

    /// Kills a process between two statements. Its request to the gateway may be lost, or arrive later.
    async fn kill_process(&mut self) {
        let Some(slot) = self.killable_slot() else { return };
        let Some(RunningTask { driver, description, job, .. }) = self.slots[slot].task.take() else { return };
        let (commit_arrives, last) = (self.rng.percent(50.0), driver.last_statement().to_owned());
        let request = driver.kill(commit_arrives).await;
        self.testbed.restart(self.slots[slot].process);
        self.recheck_lock_waiters().await;
        let position = match (&request, commit_arrives) {
            (Some(_), _) => "with a request in flight".to_owned(),
            (None, true) => format!("a pending commit arrives; last statement {last:?}"),
            (None, false) => format!("the next statement is lost; last statement {last:?}"),
        };
        let name = &self.testbed.processes[self.slots[slot].process].name;
        self.trace.record(format!("{name} is killed in {description}, {position}"));
        if let Some(request) = request.filter(|_| self.rng.percent(60.0)) {
            self.in_flight_requests.push(request);
        }
        if let Some((id, kind)) = job {
            self.deaths_while_mailing += usize::from(kind == "send-email");
            self.rescue(id).await;
        }
    }

    /// Expires the lease of a worker that is only slow: its job runs twice at once.
    async fn expire_lease(&mut self) {
        let Some(slot) = self.killable_slot() else { return };
        let Some((id, kind)) = self.slots[slot].task.as_ref().and_then(|task| task.job.clone()) else {
            return;
        };
        let name = &self.testbed.processes[self.slots[slot].process].name;
        self.trace.record(format!("the lease of {name} on job {id} expires"));
        self.deaths_while_mailing += usize::from(kind == "send-email");
        self.rescue(id).await;
    }

    async fn rescue(&mut self, job: i64) {
        sqlx::query(
            "update jobs set lease_until = clock_timestamp() - interval '1 second'
              where id = (select id from jobs where id = $1 and state = 'running' for update skip locked)",
        )
        .bind(job)
        .execute(self.testbed.admin_pool())
        .await
        .unwrap();
        queue::rescue(self.testbed.admin_pool(), Duration::from_millis(1), MAX_CRASHES).await.unwrap();
        self.wake_all_slots();
    }

    /// Delivers the requests of killed processes to the gateway.
    pub(crate) async fn deliver_in_flight_requests(&mut self) {
        for pending in std::mem::take(&mut self.in_flight_requests) {
            let request = pending.request.clone();
            let answer = pending.release().await;
            let name = trace::order_label(self, &request.name);
            self.trace
                .record(format!("{:?} {name} of a killed process arrives: {answer}", request.operation));
        }
    }
}
