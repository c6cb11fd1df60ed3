//! The request to stop: Ctrl-C, SIGTERM, or a closed terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Remembers that somebody asked this process to stop.
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked)).context("cannot listen for signals")?;
        }
        Ok(Self { asked })
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether somebody asked since the last call: a second Ctrl-C is told apart from the first.
    pub(crate) fn take(&self) -> bool {
        self.asked.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn bail_if_asked(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_asked(), "interrupted");
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self { asked: Arc::new(AtomicBool::new(false)) }
    }

    #[cfg(test)]
    pub(crate) fn already_asked() -> Self {
        Self { asked: Arc::new(AtomicBool::new(true)) }
    }
}
