//! How one process takes part in the queue.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::rescue::Rescued;
use crate::supervisor::Supervisor;

/// The application's clock.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Random numbers in `[0, 1)`, for backoff.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What is to be done about a job that lost its worker; parked ones only a person moves on.
pub type OnRescue = Arc<dyn Fn(&Rescued) + Send + Sync>;

/// How one process takes part in the queue.
#[derive(Clone)]
pub struct QueueConfig {
    /// This process, as shown in the job table.
    pub worker: String,
    /// The application's clock.
    pub now: Now,
    /// Random numbers in `[0, 1)`.
    pub jitter: Jitter,
    /// How long this process may be silent before its jobs are given to others. Renewed three times in that time.
    pub lease: Duration,
    /// How late a job that became due without a NOTIFY may start: scheduled jobs, a clock that was moved.
    pub poll_interval: Duration,
    /// How long a statement of the queue's own may go unanswered before it is given up and tried again.
    pub answer_within: Duration,
    /// The crash that parks a job.
    pub max_crashes: i32,
    /// Told of each job that was taken back from a worker that stopped answering.
    pub on_rescue: OnRescue,
    /// All kinds that any worker runs. Jobs of other kinds fail after `unknown_grace`; empty means never.
    pub known_kinds: Vec<&'static str>,
    /// How long a job of an unknown kind may wait, due, for a worker that knows it.
    pub unknown_grace: Duration,
    /// Restarts the queue's background tasks, and shows which cannot run.
    pub supervisor: Supervisor,
}

impl QueueConfig {
    /// Leases of a minute, polls each second, parks at the third crash, fails no unknown kinds.
    pub fn new(worker: impl Into<String>, now: Now, jitter: Jitter) -> Self {
        Self {
            worker: worker.into(),
            now,
            jitter,
            lease: Duration::from_mins(1),
            poll_interval: Duration::from_secs(1),
            answer_within: Duration::from_secs(30),
            max_crashes: 3,
            on_rescue: Arc::new(|_| {}),
            known_kinds: Vec::new(),
            unknown_grace: Duration::from_hours(1),
            supervisor: Supervisor::default(),
        }
    }
}
