//! Reads and records e-mails for all handlers of this process that ask at the same time: whoever comes first does it for all
//! who came meanwhile. One that comes alone waits for nobody.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use common::store::emails::{EmailEnd, QueuedEmail, SentEmail, Settled};
use common::store::gate::GatewayStatus;
use common::store::{StoreError, emails};
use sqlx::PgPool;
use tokio::sync::oneshot;
use uuid::Uuid;

/// None: it is not to be sent any more.
type Found = Option<(QueuedEmail, GatewayStatus)>;

#[derive(Debug, Default)]
pub struct EmailBatches {
    wanted: Mutex<Vec<(Uuid, oneshot::Sender<Found>)>>,
    reading: tokio::sync::Mutex<()>,
    /// What the mail server has taken and is not on record yet.
    sent: Mutex<Vec<SentEmail>>,
    /// Jobs that have ended with their e-mail and do not know it yet.
    ended: Mutex<HashSet<i64>>,
    /// E-mails whose row somebody holds: their handlers do not know it yet.
    locked: Mutex<HashSet<Uuid>>,
    recording: tokio::sync::Mutex<()>,
}

impl EmailBatches {
    /// The e-mail, if it is still to be sent, and what stands between jobs and the outside.
    pub(crate) async fn read(&self, pool: &PgPool, id: Uuid) -> Result<Found, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        lock(&self.wanted).push((id, answer));
        let _reading = self.reading.lock().await;
        if let Ok(found) = answered.try_recv() {
            return Ok(found);
        }
        // Those of whom a reading has failed ask for themselves.
        let wanted = mem::take(&mut *lock(&self.wanted));
        let ids: Vec<Uuid> = wanted.iter().map(|(id, _)| *id).chain([id]).collect();
        let found = emails::find_queued(&mut *pool.acquire().await?, &ids).await?;
        for (id, answer) in wanted {
            // Nobody waits for the answer of a handler that was cut off.
            let _ = answer.send(found.get(&id).cloned());
        }
        Ok(found.get(&id).cloned())
    }

    /// Returns when the e-mail is on record as sent, and whether that has ended its job. An e-mail whose row somebody holds is
    /// recorded by its own handler: nobody waits for another one's row. After an error it stays here, and is recorded with
    /// the next.
    pub async fn record_sent(
        &self,
        pool: &PgPool,
        email: SentEmail,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (id, job_id) = (email.id, email.lease.id());
        lock(&self.sent).push(email.clone());
        let recording = self.recording.lock().await;
        let batch = lock(&self.sent).clone();
        if batch.contains(&email) {
            let Settled { ended, locked } =
                emails::settle_sent(&mut *pool.acquire().await?, &batch, now).await?;
            lock(&self.sent).retain(|sent| !batch.contains(sent));
            lock(&self.ended).extend(ended);
            lock(&self.locked).extend(locked);
        }
        drop(recording);
        if lock(&self.locked).remove(&id) {
            let recorded =
                async { emails::settle(&mut *pool.acquire().await?, id, EmailEnd::Sent, None, now).await };
            return recorded.await.map(|()| false).inspect_err(|_| lock(&self.sent).push(email));
        }
        Ok(lock(&self.ended).remove(&job_id))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
