//! Claims one kind's due jobs into free slots: drains until empty, then rests until woken or the next poll.

use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::in_hand::InHand;
use super::inbox::{Arrived, Inbox};
use super::patience;
use crate::claim::claim;
use crate::error::QueueError;
use crate::job::Claimed;

/// What one claim takes at most: keeps the statement short when there are very many slots.
const BATCH: usize = 200;

pub(crate) struct Claimer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kind: &'static str,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) worker: WorkerContext,
    pub(crate) bell: watch::Receiver<()>,
    pub(crate) stop: CancellationToken,
}

impl Claimer {
    /// Not dropped in the middle of a claim while the database answers: jobs whose claim was not heard of are stuck for
    /// a lease.
    pub(crate) async fn keep_claiming(mut self) {
        let mut waits = patience::waits();
        // apalis signals neither stop nor pause: both are looked at before each claim.
        while !self.stop.is_cancelled() && !self.worker.is_shutting_down() {
            if self.worker.is_paused() {
                self.rest().await;
                continue;
            }
            let Some(slots) = self.free_slots().await else { return };
            self.bell.mark_unchanged();
            match self.claim(slots.num_permits()).await {
                Ok(jobs) if jobs.is_empty() => {
                    drop(slots);
                    self.rest().await;
                }
                Ok(jobs) => self.deliver(jobs, slots),
                Err(error) => {
                    drop(slots);
                    self.wait_out(&error, waits.next().unwrap_or_default()).await;
                    continue;
                }
            }
            waits = patience::waits();
        }
    }

    /// Waits for one free slot, then takes all that are free.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        let mut slots = tokio::select! {
            () = self.stop.cancelled() => return None,
            slot = self.slots.clone().acquire_owned() => slot.ok()?,
        };
        let more = self.slots.available_permits().min(BATCH - 1);
        if let Ok(more) = self.slots.clone().try_acquire_many_owned(u32::try_from(more).unwrap_or_default()) {
            slots.merge(more);
        }
        Some(slots)
    }

    async fn claim(&self, free: usize) -> Result<Vec<Claimed>, QueueError> {
        let config = &self.shared.config;
        let limit = i64::try_from(free).unwrap_or(1);
        let kind = [self.kind];
        let claim = claim(&self.shared.pool, &kind, limit, config.lease, &config.worker, self.shared.now());
        patience::answered(config.answer_within, claim).await
    }

    fn deliver(&self, jobs: Vec<Claimed>, mut slots: OwnedSemaphorePermit) {
        let now = self.shared.now();
        for job in jobs {
            let Some(slot) = slots.split(1) else { return };
            let late = (now - job.run_at).to_std().unwrap_or_default();
            metrics::histogram!("queue_job_lateness_seconds", "kind" => self.kind).record(late);
            let in_hand = InHand::new(job.lease(), self.shared.clone(), slot);
            self.inbox.push(Arrived { args: job.args, in_hand });
        }
    }

    async fn rest(&mut self) {
        let poll = self.shared.config.poll_interval;
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = self.bell.changed() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }

    async fn wait_out(&self, error: &QueueError, wait: Duration) {
        tracing::warn!(job.kind = self.kind, error = %error, wait_ms = wait.as_millis(), "could not claim jobs");
        tokio::select! { () = self.stop.cancelled() => {}, () = tokio::time::sleep(wait) => {} }
    }
}
