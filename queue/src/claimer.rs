//! Claims due jobs of all kinds into free slots with one statement, then rests until woken or until the next poll.
//!
//! A NOTIFY wakes it for all kinds. A slot that becomes free wakes it only for kinds whose last claim filled every slot:
//! of the others nothing more was due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::claim::claim_shares;
use crate::error::QueueError;
use crate::job::Claimed;
use crate::local_kind::{ClaimedJob, LocalKind};
use crate::own_connection::OwnConnection;
use crate::retry::pauses;
use crate::running_job::RunningJob;
use crate::shared::Shared;
use crate::supervisor::Progress;

/// What one claim takes at most: keeps the statement short when there are very many slots.
const BATCH: usize = 500;
/// How long it waits for more slots to become free when few are: one claim of many costs little more than one of one.
const GATHER_FOR: Duration = Duration::from_millis(2);
/// A claim does not wait for more slots when this part of them is free.
const GATHERED: usize = 4;

pub(crate) struct Claimer {
    shared: Arc<Shared>,
    wake: watch::Receiver<()>,
    conn: OwnConnection,
    progress: Progress,
    /// The kinds of which more may be due than there were slots.
    full: Vec<Arc<LocalKind>>,
    next_poll: Instant,
}

/// A kind and how many of its jobs to claim.
type Share = (Arc<LocalKind>, usize);

impl Claimer {
    pub(crate) fn new(shared: Arc<Shared>, progress: Progress) -> Self {
        let conn = OwnConnection::new(&shared.pool, shared.config.answer_within).without_waiting_for_disk();
        let wake = shared.wake.subscribe();
        Self { shared, wake, conn, progress, full: Vec::new(), next_poll: Instant::now() }
    }

    /// Not dropped in the middle of a claim while the database answers: jobs whose claim has no known end are stuck for
    /// a lease.
    pub(crate) async fn run(mut self) {
        let mut waits = pauses();
        let mut kinds = self.all_kinds();
        while !self.shared.claiming.is_cancelled() {
            self.progress.mark();
            match self.claim_into(&kinds).await {
                Ok(()) => waits = pauses(),
                Err(error) => {
                    let wait = waits.next().unwrap_or_default();
                    tracing::warn!(error = %error, wait_ms = wait.as_millis(), "could not claim jobs");
                    tokio::select! { () = self.shared.claiming.cancelled() => return, () = sleep(wait) => {} }
                    kinds = self.all_kinds();
                    continue;
                }
            }
            kinds = self.next_kinds().await;
        }
    }

    fn all_kinds(&mut self) -> Vec<Arc<LocalKind>> {
        self.next_poll = Instant::now() + self.shared.config.poll_interval;
        // Before the claim: a NOTIFY that comes during it is for a job that it may not see.
        self.wake.mark_unchanged();
        self.shared.kinds()
    }

    /// Waits until a claim is worth its while, and returns the kinds to claim.
    async fn next_kinds(&mut self) -> Vec<Arc<LocalKind>> {
        let Self { shared, wake, full, .. } = self;
        let (shared, full) = (shared.clone(), full.clone());
        loop {
            self.progress.mark();
            tokio::select! {
                () = shared.claiming.cancelled() => return Vec::new(),
                _ = wake.changed() => return self.all_kinds(),
                () = sleep_until(self.next_poll) => return self.all_kinds(),
                () = slots_gathered(&shared, &full), if !full.is_empty() => {}
            }
            let free: Vec<_> = full.iter().filter(|kind| shared.free_slots(kind) > 0).cloned().collect();
            if !free.is_empty() {
                return free;
            }
        }
    }

    async fn claim_into(&mut self, kinds: &[Arc<LocalKind>]) -> Result<(), QueueError> {
        let shares: Vec<Share> = kinds
            .iter()
            .map(|kind| (kind.clone(), self.shared.free_slots(kind).min(BATCH)))
            .filter(|(_, free)| *free > 0)
            .collect();
        // A kind without a free slot is looked at when it has one.
        self.full.retain(|full| !full.is_closed() && !shares.iter().any(|(kind, _)| Arc::ptr_eq(kind, full)));
        for kind in kinds.iter().filter(|kind| self.shared.free_slots(kind) == 0) {
            if !self.full.iter().any(|full| Arc::ptr_eq(full, kind)) {
                self.full.push(kind.clone());
            }
        }
        if shares.is_empty() {
            return Ok(());
        }
        let process = self.shared.clone();
        let _under_way = process.claim_under_way.lock().await;
        if process.claiming.is_cancelled() {
            return Ok(());
        }
        let jobs = self.claim(&shares).await?;
        self.deliver(jobs, &shares);
        Ok(())
    }

    async fn claim(&mut self, shares: &[Share]) -> Result<Vec<Claimed>, QueueError> {
        let Self { shared, conn, .. } = self;
        let limit = |free: usize| i32::try_from(free).unwrap_or(i32::MAX);
        let wanted: Vec<(&str, i32)> =
            shares.iter().map(|(kind, free)| (kind.config.kind, limit(*free))).collect();
        let all = shares.iter().map(|(_, free)| *free).sum::<usize>().min(BATCH);
        let all = i64::try_from(all).unwrap_or(i64::MAX);
        let config = &shared.config;
        conn.with(async |conn| {
            claim_shares(conn, &wanted, all, config.lease, &config.worker, shared.now()).await
        })
        .await
    }

    fn deliver(&mut self, jobs: Vec<Claimed>, shares: &[Share]) {
        let now = self.shared.now();
        let mut claimed: HashMap<&str, usize> = HashMap::new();
        let is_cut_short = jobs.len() >= BATCH;
        for job in jobs {
            let Some((kind, _)) = shares.iter().find(|(kind, _)| kind.config.kind == job.kind) else {
                continue;
            };
            let Some(slot) = kind.take_slot() else { continue };
            let count = claimed.entry(kind.config.kind).or_default();
            *count = count.saturating_add(1);
            let late = (now - job.run_at).to_std().unwrap_or_default();
            metrics::histogram!("queue_job_lateness_seconds", "kind" => kind.config.kind).record(late);
            let running = RunningJob::new(job.lease(), self.shared.keeper.clone(), slot);
            kind.push(ClaimedJob { args: job.args, running });
        }
        let is_full =
            |kind: &LocalKind, free: usize| is_cut_short || claimed.get(kind.config.kind) == Some(&free);
        self.full
            .extend(shares.iter().filter(|(kind, free)| is_full(kind, *free)).map(|(kind, _)| kind.clone()));
    }
}

/// Returns when a good part of a full kind's slots is free, or some are and have been for a moment.
async fn slots_gathered(shared: &Shared, full: &[Arc<LocalKind>]) {
    let mut until = None;
    loop {
        let free = |kind: &Arc<LocalKind>| shared.free_slots(kind);
        let is_enough = |kind: &Arc<LocalKind>| free(kind) >= (kind.config.concurrency / GATHERED).max(1);
        if full.iter().any(is_enough) {
            return;
        }
        if until.is_none() && full.iter().any(|kind| free(kind) > 0) {
            until = Some(Instant::now() + GATHER_FOR);
        }
        let gathered = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.keeper.slot_freed.notified() => {}
            () = gathered => return,
        }
    }
}
