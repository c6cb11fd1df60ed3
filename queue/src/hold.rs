//! Keeps a job's time limit from dropping a handler that holds something which exists nowhere else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

tokio::task_local! {
    static HOLD: Hold;
}

/// Shared by a handler and whoever watches its time limit.
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
