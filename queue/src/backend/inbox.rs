//! Claimed jobs on their way from the claimer to apalis's poll loop.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use serde_json::Value;

use super::in_hand::InHand;

/// A job that was claimed and not yet started.
pub(crate) struct Arrived {
    pub(crate) args: Value,
    pub(crate) in_hand: InHand,
}

/// At most as many jobs as there are free slots.
pub(crate) struct Inbox {
    /// `None` when closed: what arrives then goes back to the table.
    jobs: Mutex<Option<VecDeque<Arrived>>>,
    waker: AtomicWaker,
}

impl Inbox {
    pub(crate) fn open() -> Self {
        Self { jobs: Mutex::new(Some(VecDeque::new())), waker: AtomicWaker::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Arrived>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, job: Arrived) {
        if let Some(jobs) = self.lock().as_mut() {
            jobs.push_back(job);
        }
        self.waker.wake();
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Arrived> {
        // Registered before looking, or a push in between would wake nobody.
        self.waker.register(cx.waker());
        match self.lock().as_mut().and_then(VecDeque::pop_front) {
            Some(job) => Poll::Ready(job),
            None => Poll::Pending,
        }
    }

    /// Gives back what has not started, and all that still arrives.
    pub(crate) fn close(&self) {
        let unstarted = self.lock().take();
        drop(unstarted);
    }
}
