//! Writes what Toss answered. The answer exists nowhere else, so it is kept until the database takes it.
//!
//! An error of the database may pass, whatever its SQLSTATE: the write is repeated for as long as the process lives, and an
//! alarm says that it takes long. Only a constraint or a wrong value refuses it for good. That is a bug of ours: the caller
//! puts the answer on record in another way.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, Utc};
use common::queue::{Finish, Lease, QueueError, Ran, hold_on};

use crate::env::{Env, Tx, raise_alarm};
use crate::error::SettleError;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The limits of the session end each statement sooner.
const TRY_LIMIT: Duration = Duration::from_mins(2);
/// After about half a minute.
const TRIES_BEFORE_ALARM: u32 = 8;

/// Repeats the write until it succeeds or is refused for good.
pub(crate) async fn keep_trying<T, Writing>(
    what: &'static str,
    write: impl FnMut() -> Writing,
) -> Result<T, SettleError>
where
    Writing: Future<Output = Result<T, SettleError>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter();
    hold_on();
    let mut tries = 0_u32;
    let mut write = write;
    // A server that is gone without a word is not waited for: the next try takes another connection.
    let limited = || {
        let written = tokio::time::timeout(TRY_LIMIT, write());
        async { written.await.unwrap_or(Err(QueueError::NoAnswer(TRY_LIMIT).into())) }
    };
    limited
        .retry(pauses)
        .when(|error| !error.is_refusal())
        .notify(|error, _| {
            tries = tries.saturating_add(1);
            if tries >= TRIES_BEFORE_ALARM {
                raise_alarm("answer_not_written");
                tracing::error!(what, tries, %error, "an answer of Toss waits in memory for the database");
            } else {
                tracing::warn!(what, %error, "an answer of Toss could not be written; tried again");
            }
        })
        .await
}

/// Writes an answer together with the job's own end. Where the job is somebody else's by now, it is written without it.
pub(crate) async fn record<Writing>(
    env: &Env,
    lease: &Lease,
    what: &'static str,
    write: impl Fn(Tx, DateTime<Utc>) -> Writing,
) -> Result<Ran, SettleError>
where
    Writing: Future<Output = Result<(Tx, Finish), SettleError>>,
{
    keep_trying(what, || write_once(env, lease, &write)).await
}

async fn write_once<Writing>(
    env: &Env,
    lease: &Lease,
    write: impl Fn(Tx, DateTime<Utc>) -> Writing,
) -> Result<Ran, SettleError>
where
    Writing: Future<Output = Result<(Tx, Finish), SettleError>>,
{
    let now = env.clock.now();
    let (tx, finish) = write(env.pool.begin().await?, now).await?;
    match lease.commit(tx, finish, now).await {
        Ok(committed) => Ok(Ran::Committed(committed)),
        Err(QueueError::LeaseLost(_)) => {
            let (tx, _) = write(env.pool.begin().await?, now).await?;
            tx.commit().await?;
            Ok(Ran::Finish(Finish::Done(Some("recorded after the lease was lost".into()))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says that the database refuses an answer for good.
pub(crate) fn alarm_refused(what: &'static str, error: &SettleError) {
    raise_alarm("answer_refused");
    tracing::error!(what, %error, "the database refuses an answer of Toss: it is put before a person");
}
