//! Works through many rows so that one of them stops only itself.
//!
//! A row that somebody else holds is skipped, and a row that raises is isolated by halving its batch. The others are done.

use std::collections::HashSet;
use std::mem;

use chrono::TimeDelta;
use common::queue::{Finish, Ran};
use uuid::Uuid;

use crate::env::{Env, Tx, raise_alarm};
use crate::error::SettleError;

/// Somebody holds a row: an operator's session, or a worker that is gone. The limits of a session end both.
const COME_BACK_AFTER: TimeDelta = TimeDelta::minutes(5);

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Worked<T> {
    pub(super) done: usize,
    /// Held by somebody else: to be worked on later.
    pub(super) locked: Vec<T>,
    /// Raised, each alone: an operator is needed.
    pub(super) failed: usize,
}

impl<T> Default for Worked<T> {
    fn default() -> Self {
        Self { done: 0, locked: Vec::new(), failed: 0 }
    }
}

impl<T> Worked<T> {
    pub(super) fn add(&mut self, other: Self) {
        self.done = self.done.saturating_add(other.done);
        self.locked.extend(other.locked);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// Works on the items in one transaction. Where that fails because of an item, the batch is halved until the item is alone.
pub(super) async fn work_through<T, Working>(
    env: &Env,
    what: &'static str,
    items: Vec<T>,
    work: impl Fn(Tx, Vec<T>) -> Working,
) -> Result<Worked<T>, SettleError>
where
    T: Clone + std::fmt::Debug,
    Working: Future<Output = Result<(Tx, Worked<T>), SettleError>>,
{
    let mut all = Worked::default();
    let mut batches = vec![items];
    while let Some(mut batch) = batches.pop() {
        let worked = async {
            let (tx, worked) = work(env.pool.begin().await?, batch.clone()).await?;
            tx.commit().await?;
            Ok(worked)
        };
        let error: SettleError = match worked.await {
            Ok(worked) => {
                all.add(worked);
                continue;
            }
            Err(error) => error,
        };
        if !error.is_refusal() && !error.is_held_up() {
            // Nothing is wrong with the rows: the job comes again.
            return Err(error);
        }
        if batch.len() > 1 {
            let second = batch.split_off(batch.len() / 2);
            batches.extend([second, batch]);
        } else if error.is_held_up() {
            all.locked.extend(batch);
        } else {
            all.failed = all.failed.saturating_add(1);
            raise_alarm("row_failed");
            tracing::error!(what, row = ?batch, %error, "one row of a daily run failed; the others went on");
        }
    }
    Ok(all)
}

/// The second pass over all batches: what was locked is tried again. What is locked still is left for later, with an alarm.
pub(super) async fn come_back<T, Working>(
    env: &Env,
    what: &'static str,
    all: &mut Worked<T>,
    work: impl Fn(Tx, Vec<T>) -> Working,
) -> Result<(), SettleError>
where
    T: Clone + std::fmt::Debug,
    Working: Future<Output = Result<(Tx, Worked<T>), SettleError>>,
{
    if all.locked.is_empty() {
        return Ok(());
    }
    let locked = mem::take(&mut all.locked);
    all.add(work_through(env, what, locked, work).await?);
    if !all.locked.is_empty() {
        raise_alarm("row_locked");
        tracing::error!(what, rows = ?all.locked, "rows are locked by somebody else; tried again in some minutes");
    }
    Ok(())
}

/// Has the job come again where somebody still holds rows.
pub(super) fn later(env: &Env, locked: usize) -> Option<Ran> {
    let reason = format!("{locked} rows are locked by somebody else: they come later");
    let run_at = env.clock.now() + COME_BACK_AFTER;
    (locked > 0).then_some(Ran::Finish(Finish::Snooze { reason, run_at }))
}

/// Those of a batch that are not free.
pub(super) fn held(ids: Vec<Uuid>, free: &[Uuid]) -> Vec<Uuid> {
    let free: HashSet<&Uuid> = free.iter().collect();
    ids.into_iter().filter(|id| !free.contains(id)).collect()
}
