//! What happened, line by line, without anything that differs between two runs of one seed.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use chrono_tz::Asia::Seoul;

/// Clones share the lines, so that they survive a panic in the middle of a seed.
#[derive(Clone, Default)]
pub(crate) struct Story {
    lines: Arc<Mutex<Vec<String>>>,
    at: Arc<Mutex<DateTime<Utc>>>,
    /// Printed while it happens.
    aloud: bool,
}

impl Story {
    pub(crate) fn new(aloud: bool) -> Self {
        Self { aloud, ..Self::default() }
    }

    /// The instant that the clock was set to; it runs on from there, but the story does not say so.
    pub(crate) fn at(&self, at: DateTime<Utc>) {
        *self.at.lock().unwrap() = at;
    }

    pub(crate) fn tell(&self, line: impl AsRef<str>) {
        let at = self.at.lock().unwrap().with_timezone(&Seoul).format("%Y-%m-%d %H:%M:%S");
        let line = format!("{at} {}", line.as_ref());
        if self.aloud {
            println!("{line}");
        }
        self.lines.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}
