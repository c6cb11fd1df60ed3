//! A durable job queue on PostgreSQL with a backend for apalis: one row per try, leases with fencing, persisted retries.
//!
//! Enqueue in the transaction of the fact that causes the job ([`enqueue`], [`enqueue_many`]). Run jobs either
//! through apalis ([`Queue`], [`PgBackend`]) or one by one by hand ([`claim`], your handler, [`settle`]); both
//! write the same rows.
//!
//! Two clocks: `run_at` and every recorded moment are the caller's `now`, so that a test clock can jump; leases
//! are kept by the database's clock, so that such a jump never takes a job from a live worker.
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use apalis::prelude::{Data, Monitor, WorkerBuilder};
//! use queue::{Finish, JobError, KindConfig, Lease, Queue, QueueConfig, Ran};
//!
//! #[derive(serde::Deserialize)]
//! struct Charge { invoice: String }
//!
//! async fn charge(job: Charge, lease: Lease, db: Data<sqlx::PgPool>) -> Result<Ran, JobError> {
//!     let tx = db.begin().await?; // the effect and the next job go into it, too
//!     Ok(lease.commit(tx, Finish::Done(Some(format!("paid {}", job.invoice))), now()).await?.into())
//! }
//!
//! # fn now() -> chrono::DateTime<chrono::Utc> { chrono::DateTime::UNIX_EPOCH }
//! # async fn sigterm() {}
//! # async fn example(db: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::start(db.clone(), QueueConfig::new("worker-1", Arc::new(now), Arc::new(|| 0.5)));
//! let charges = queue.clone();
//! let monitor = Monitor::new().register(move |_| {
//!     WorkerBuilder::new("charge")
//!         .backend(charges.backend(KindConfig::new("charge").concurrency(20)))
//!         .data(db.clone())
//!         .build(charge)
//! });
//! let stopped = queue.run(monitor, sigterm(), Duration::from_secs(25)).await?;
//! assert!(stopped.still_running.is_empty());
//! # Ok(())
//! # }
//! ```

mod apalis_backend;
mod claim;
mod claimer;
mod complete;
mod completion_batcher;
mod config;
mod depth;
mod enqueue;
mod error;
mod execute;
mod finish;
mod heartbeat;
mod job;
mod listener;
mod local_kind;
mod operate;
mod own_connection;
mod policy;
mod process;
mod prune;
mod rescue;
mod rescuer;
mod retry;
mod running_job;
mod settle;
mod shared;
mod supervisor;
mod task_context;
mod turn;

pub use apalis_backend::{JobLayer, JobService, PgBackend};
pub use claim::{claim, heartbeat, release};
pub use complete::{Completion, complete_many};
pub use config::{Jitter, Now, OnRescue, QueueConfig};
pub use depth::{Depth, depth, last_depth};
pub use enqueue::{Enqueued, enqueue, enqueue_many};
pub use error::{JobError, QueueError};
pub use finish::{Committed, Finish, Finished};
pub use job::{Claimed, Lease, NewJob};
pub use operate::{JobFilter, JobRow, JobState, discard, list, postpone, retry_now, show};
pub use policy::{Backoff, ClaimLimit, KindConfig, OnStop};
pub use process::{Queue, Stopped};
pub use prune::prune;
pub use rescue::{Rescued, rescue, sweep_unknown_kinds};
pub use settle::{Ran, settle};
pub use supervisor::{FailingTask, Progress, Supervisor};
pub use task_context::{cause, caused_by, hold_on};
pub use turn::take_turn;

/// The channel on which a statement that made jobs due says so; the payload is the kind, or empty for several.
pub const CHANNEL: &str = "jobs";
