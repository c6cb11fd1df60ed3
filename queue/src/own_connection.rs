//! A connection outside the pool for one background task: handlers that hold the whole pool cannot starve it, and no pool
//! asks before and after each statement whether the connection still works.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, PgPool};

use crate::error::QueueError;
use crate::retry::with_timeout;

pub(crate) struct OwnConnection {
    options: PgConnectOptions,
    limit: Duration,
    open: Option<PgConnection>,
}

impl OwnConnection {
    /// Connects when first used. Each use ends within `limit`.
    pub(crate) fn new(pool: &PgPool, limit: Duration) -> Self {
        Self { options: pool.connect_options().as_ref().clone(), limit, open: None }
    }

    /// Its commits do not wait for the disk. A lost claim or lease is only claimed again, and a later commit that waits
    /// brings the earlier ones to disk, too.
    pub(crate) fn without_waiting_for_disk(mut self) -> Self {
        self.options = self.options.options([("synchronous_commit", "off")]);
        self
    }

    /// Does `work` on the connection, and makes a new one after any error: the old one may be broken, lead to a server
    /// that is read-only now, or hold a plan from before a table was changed.
    pub(crate) async fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        let Self { options, limit, open } = self;
        // Taken out first: a use that is given up half-way leaves no connection behind.
        let taken = open.take();
        let (conn, done) = with_timeout(*limit, async {
            let mut conn = match taken {
                Some(conn) => conn,
                None => options.connect().await?,
            };
            let done = work(&mut conn).await?;
            Ok((conn, done))
        })
        .await?;
        *open = Some(conn);
        Ok(done)
    }
}
