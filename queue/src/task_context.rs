//! What a handler's task carries with it: the cause of the jobs that it makes, and a hold on its own time limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    /// A W3C traceparent, handed on from the request to its jobs and to theirs.
    static CAUSE: Option<String>;
    static HOLD: Hold;
}

/// Does `work`; every [`NewJob`](crate::NewJob) that it makes carries this W3C traceparent. Tasks it spawns do not inherit it.
pub async fn caused_by<F: Future>(traceparent: Option<String>, work: F) -> F::Output {
    CAUSE.scope(traceparent, work).await
}

/// The traceparent of what caused the current work, for rows that are written without a [`NewJob`](crate::NewJob).
pub fn cause() -> Option<String> {
    CAUSE.try_with(Clone::clone).ok().flatten()
}

/// Keeps a time limit from dropping a handler that holds something which exists nowhere else. Shared by the handler and
/// whoever watches its time limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hold(Arc<AtomicBool>);

impl Hold {
    pub(crate) async fn scope<F: Future>(self, handler: F) -> F::Output {
        HOLD.scope(self, handler).await
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// From here on the time limit does not drop this handler: say so before a call whose answer cannot be asked for again, or
/// only at a price. Outside of a handler it does nothing.
pub fn hold_on() {
    // An error only says that no handler is running.
    HOLD.try_with(|hold| hold.0.store(true, Ordering::Release)).unwrap_or_default();
}
