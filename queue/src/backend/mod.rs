//! Running jobs through apalis: the process's queue, its settings and its background tasks.

mod claimer;
mod flusher;
mod heartbeat;
mod in_hand;
mod inbox;
mod listener;
mod patience;
mod rescuer;
mod run;
mod service;
mod source;
mod stop;
mod wakeups;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::policy::KindConfig;
use crate::rescue::Rescued;
use flusher::Outcome;
use in_hand::Held;
use inbox::Inbox;
pub use service::{JobLayer, JobService};
pub use source::PgBackend;
pub use stop::Stopped;
use wakeups::Wakeups;

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
        }
    }
}

/// One process's part in the queue: a handle, cheap to clone. Ends its background tasks when the last clone,
/// the last [`PgBackend`] and the last running job are gone.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pool: PgPool,
    config: QueueConfig,
    held: Arc<Held>,
    wakeups: Arc<Wakeups>,
    outcomes: mpsc::UnboundedSender<Outcome>,
    inboxes: Mutex<Vec<Weak<Inbox>>>,
    /// Cancelled when nothing new may be claimed.
    claiming: CancellationToken,
    /// Cancelled when handlers that may be cut off are.
    hand_back: CancellationToken,
    /// Cancelled when rescuing and listening end.
    background: CancellationToken,
    /// Cancelled when nothing is held any more, or nobody is left to hold it.
    heart: CancellationToken,
    keeping: TaskTracker,
    handing_back: TaskTracker,
}

impl Queue {
    /// Starts this process's background tasks: flusher, rescuer and listener on the current tokio runtime, the
    /// heartbeat on a thread of its own. Nothing is claimed yet.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(pool: PgPool, config: QueueConfig) -> std::io::Result<Self> {
        let (outcomes, arriving) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            held: Arc::default(),
            wakeups: Arc::default(),
            outcomes,
            inboxes: Mutex::default(),
            claiming: CancellationToken::new(),
            hand_back: CancellationToken::new(),
            background: CancellationToken::new(),
            heart: CancellationToken::new(),
            keeping: TaskTracker::new(),
            handing_back: TaskTracker::new(),
            pool,
            config,
        });
        heartbeat::start(&shared)?;
        tokio::spawn(flusher::flush(shared.pool.clone(), shared.config.answer_within, arriving));
        tokio::spawn(rescuer::keep_rescuing(
            shared.pool.clone(),
            shared.config.clone(),
            shared.background.clone(),
        ));
        tokio::spawn(listener::keep_listening(
            &shared.pool,
            shared.wakeups.clone(),
            shared.background.clone(),
        ));
        Ok(Self { shared })
    }

    /// The source of one kind's jobs for an apalis worker; jobs are claimed from its first poll on.
    pub fn backend<T>(&self, config: KindConfig) -> PgBackend<T> {
        let backend = PgBackend::new(self.shared.clone(), config);
        self.shared.inboxes().push(Arc::downgrade(backend.inbox()));
        backend
    }

    /// Has every idle claimer look at the table now: for a clock that was just moved.
    pub fn wake(&self) {
        self.shared.wakeups.wake_all();
    }
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        (self.config.now)()
    }

    fn inboxes(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Inbox>>> {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.retain(|inbox| inbox.strong_count() > 0);
        inboxes
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.background.cancel();
        self.heart.cancel();
    }
}
