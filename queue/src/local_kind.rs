//! One kind of job in this process: its free slots, and the claimed jobs on their way to apalis.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::policy::{ClaimLimit, KindConfig};
use crate::running_job::RunningJob;

/// A job that was claimed and not yet started.
pub(crate) struct ClaimedJob {
    pub(crate) args: Value,
    pub(crate) running: RunningJob,
}

pub(crate) struct LocalKind {
    pub(crate) config: Arc<KindConfig>,
    slots: Arc<Semaphore>,
    buffer: Mutex<Buffer>,
    waker: AtomicWaker,
}

/// At most as many jobs as there are slots.
enum Buffer {
    /// apalis builds workers that it may never run: nothing is claimed before the first poll.
    NotPolled,
    Open(VecDeque<ClaimedJob>),
    /// What arrives goes back to the table.
    Closed,
}

impl LocalKind {
    pub(crate) fn new(config: KindConfig) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(config.concurrency.max(1))),
            config: Arc::new(config),
            buffer: Mutex::new(Buffer::NotPolled),
            waker: AtomicWaker::new(),
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.buffer(), Buffer::Closed)
    }

    /// How many jobs may be claimed now.
    pub(crate) fn free_slots(&self, limit: ClaimLimit) -> usize {
        if !matches!(*self.buffer(), Buffer::Open(_)) {
            return 0;
        }
        let free = self.slots.available_permits();
        match limit {
            ClaimLimit::All => free,
            // One at a time: none while one is at work.
            ClaimLimit::One => usize::from(free == self.config.concurrency.max(1)),
            ClaimLimit::Nothing => 0,
        }
    }

    pub(crate) fn take_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().try_acquire_owned().ok()
    }

    pub(crate) fn push(&self, job: ClaimedJob) {
        if let Buffer::Open(jobs) = &mut *self.buffer() {
            jobs.push_back(job);
        }
        self.waker.wake();
    }

    /// Returns the next job. The first poll opens the buffer; whether it did is the second part.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> (Poll<ClaimedJob>, bool) {
        // Registered before looking, or a push in between would wake nobody.
        self.waker.register(cx.waker());
        let mut buffer = self.buffer();
        match &mut *buffer {
            Buffer::NotPolled => {
                *buffer = Buffer::Open(VecDeque::new());
                (Poll::Pending, true)
            }
            Buffer::Open(jobs) => (jobs.pop_front().map_or(Poll::Pending, Poll::Ready), false),
            Buffer::Closed => (Poll::Pending, false),
        }
    }

    /// Gives back what has not started, and all that still arrives.
    pub(crate) fn close(&self) {
        let unstarted = std::mem::replace(&mut *self.buffer(), Buffer::Closed);
        drop(unstarted);
    }
}
