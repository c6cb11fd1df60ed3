//! Keeps background tasks running: a task that ends, panics or stands still is started again, counted, and shown.
//!
//! A process asks [`Supervisor::failing`] to answer `/healthz`: the name of a task that cannot run.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::retry::pauses_up_to;

/// A task that has run for so long after a restart has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);
/// One crash is an accident; from the second in a row on the task counts as one that cannot run.
const FAILING_FROM: u32 = 2;
/// Between two restarts of a task that ends again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that does not look at the stop is dropped after this.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The background tasks of a process. Cheap to clone; clones share the tasks.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    tasks: Arc<Mutex<Vec<Arc<Mutex<TaskState>>>>>,
}

/// A background task as a health check sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingTask {
    /// Its name, as in the metrics.
    pub name: &'static str,
    /// How it last ended.
    pub reason: String,
}

/// Says that a task is alive. A task that says nothing for longer than it promised is started again.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<TaskState>>);

#[derive(Debug)]
struct TaskState {
    name: &'static str,
    /// In a row, without a recovery between them.
    failures: u32,
    last_reason: String,
    /// `None` while it waits to be started again.
    running_since: Option<Instant>,
    last_progress: Instant,
}

impl TaskState {
    fn is_failing(&self) -> bool {
        let has_recovered = self.running_since.is_some_and(|since| since.elapsed() >= RECOVERED_AFTER);
        self.failures >= FAILING_FROM && !has_recovered
    }
}

impl Progress {
    /// Another round was made, whether it succeeded or not.
    pub fn mark(&self) {
        lock(&self.0).last_progress = Instant::now();
    }

    async fn stalled(&self, limit: Duration) {
        loop {
            let last = lock(&self.0).last_progress;
            if last.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(last + limit).await;
        }
    }
}

impl Supervisor {
    /// Runs the task that `start` makes until `stop` is cancelled, and starts it again whenever it ends before.
    ///
    /// The task marks its [`Progress`] at least once in `stall_after`, and ends soon after `stop`.
    pub fn spawn<F, Fut>(
        &self,
        name: &'static str,
        stall_after: Duration,
        stop: CancellationToken,
        mut start: F,
    ) -> JoinHandle<()>
    where
        F: FnMut(Progress) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let state = Arc::new(Mutex::new(TaskState {
            name,
            failures: 0,
            last_reason: String::new(),
            running_since: None,
            last_progress: Instant::now(),
        }));
        lock(&self.tasks).push(state.clone());
        tokio::spawn(async move {
            let mut pauses = pauses_up_to(LONGEST_PAUSE);
            while !stop.is_cancelled() {
                begin(&state);
                let progress = Progress(state.clone());
                let ended = match catch_unwind(AssertUnwindSafe(|| start(progress.clone()))) {
                    Ok(task) => watch(tokio::spawn(task), &progress, stall_after, &stop).await,
                    Err(panic) => Some(Ended::Panicked(panic_message(panic.as_ref()))),
                };
                let Some(ended) = ended else { break };
                if fail(&state, &ended) {
                    pauses = pauses_up_to(LONGEST_PAUSE);
                }
                let pause = pauses.next().unwrap_or_default();
                tokio::select! { () = stop.cancelled() => break, () = tokio::time::sleep(pause) => {} }
            }
            metrics::gauge!("background_task_up", "task" => name).set(0.0);
        })
    }

    /// The first task that cannot run now.
    pub fn failing(&self) -> Option<FailingTask> {
        lock(&self.tasks).iter().find_map(|task| {
            let state = lock(task);
            state.is_failing().then(|| FailingTask { name: state.name, reason: state.last_reason.clone() })
        })
    }
}

/// Why a task has to be started again.
enum Ended {
    Returned,
    Panicked(String),
    Stalled(Duration),
}

impl Ended {
    fn label(&self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Panicked(_) => "panicked",
            Self::Stalled(_) => "stalled",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Returned => "it returned".to_owned(),
            Self::Panicked(message) => format!("it panicked: {message}"),
            Self::Stalled(limit) => format!("it made no progress for {} s", limit.as_secs()),
        }
    }
}

/// Waits for the end of a task. `None` is an end that was asked for.
async fn watch(
    mut task: JoinHandle<()>,
    progress: &Progress,
    stall_after: Duration,
    stop: &CancellationToken,
) -> Option<Ended> {
    tokio::select! {
        ended = &mut task => (!stop.is_cancelled()).then(|| match ended {
            Ok(()) => Ended::Returned,
            Err(error) => Ended::Panicked(error.try_into_panic().map_or_else(
                |_| "it was cancelled".to_owned(),
                |panic| panic_message(panic.as_ref()),
            )),
        }),
        () = progress.stalled(stall_after) => {
            task.abort();
            Some(Ended::Stalled(stall_after))
        }
        () = stop.cancelled() => {
            if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
                task.abort();
            }
            None
        }
    }
}

fn begin(state: &Mutex<TaskState>) {
    let mut state = lock(state);
    state.running_since = Some(Instant::now());
    state.last_progress = Instant::now();
    metrics::gauge!("background_task_up", "task" => state.name).set(1.0);
}

/// Returns whether the task had recovered before: then this failure is the first of a new row.
fn fail(state: &Mutex<TaskState>, ended: &Ended) -> bool {
    let mut state = lock(state);
    let ran_for = state.running_since.take().map(|since| since.elapsed()).unwrap_or_default();
    let had_recovered = ran_for >= RECOVERED_AFTER && !matches!(ended, Ended::Stalled(_));
    state.failures = if had_recovered { 1 } else { state.failures.saturating_add(1) };
    state.last_reason = ended.text();
    let (task, reason) = (state.name, ended.label());
    metrics::gauge!("background_task_up", "task" => task).set(0.0);
    metrics::counter!("background_task_restarts_total", "task" => task, "reason" => reason).increment(1);
    tracing::error!(task, reason = state.last_reason, failures = state.failures, "background task restarts");
    had_recovered
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const NEVER: Duration = Duration::from_hours(1);

    /// Starts a task whose runs do what `run` says for their number, from 0.
    fn supervised<Fut>(
        stall_after: Duration,
        run: impl Fn(u32, Progress) -> Fut + Send + 'static,
    ) -> (Supervisor, Arc<AtomicU32>, CancellationToken)
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (supervisor, stop) = (Supervisor::default(), CancellationToken::new());
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        supervisor.spawn("task", stall_after, stop.clone(), move |progress| {
            run(counted.fetch_add(1, Ordering::SeqCst), progress)
        });
        (supervisor, runs, stop)
    }

    async fn until(holds: impl Fn() -> bool) {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_restarted_and_recovers() {
        let (supervisor, runs, _stop) = supervised(NEVER, async |run, _| match run {
            0 => panic!("on purpose"),
            1 => {}
            _ => std::future::pending().await,
        });
        until(|| runs.load(Ordering::SeqCst) == 3).await;
        let failing = supervisor.failing().unwrap();
        assert_eq!((failing.name, failing.reason.as_str()), ("task", "it returned"));
        tokio::time::sleep(RECOVERED_AFTER).await;
        assert_eq!(supervisor.failing(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_panic_does_not_fail_the_health_check() {
        let (supervisor, runs, _stop) = supervised(NEVER, async |run, _| match run {
            0 => panic!("on purpose"),
            _ => std::future::pending().await,
        });
        until(|| runs.load(Ordering::SeqCst) == 2).await;
        assert_eq!(supervisor.failing(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_at_each_start_stays_failing() {
        let (supervisor, runs, _stop) = supervised(NEVER, async |_, _| panic!("on purpose"));
        until(|| runs.load(Ordering::SeqCst) > 9).await;
        assert_eq!(supervisor.failing().unwrap().reason, "it panicked: on purpose");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_without_progress_is_restarted() {
        let (supervisor, runs, _stop) =
            supervised(Duration::from_mins(1), async |_, _| std::future::pending().await);
        until(|| runs.load(Ordering::SeqCst) == 3).await;
        assert_eq!(supervisor.failing().unwrap().reason, "it made no progress for 60 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_marks_its_progress_is_left_alone() {
        let (supervisor, runs, stop) = supervised(Duration::from_mins(1), async |_, progress| {
            loop {
                progress.mark();
                tokio::time::sleep(Duration::from_secs(50)).await;
            }
        });
        tokio::time::sleep(NEVER).await;
        assert_eq!((runs.load(Ordering::SeqCst), supervisor.failing()), (1, None));
        stop.cancel();
    }
}
