//! Toss's test limit: 100 requests a minute for each API, counted here per secret and operation.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::ledger::Operation;

const LIMIT: usize = 100;
const WINDOW: TimeDelta = TimeDelta::minutes(1);

#[derive(Debug, Default)]
pub(crate) struct Limiter {
    seen: HashMap<(String, Operation), VecDeque<DateTime<Utc>>>,
}

impl Limiter {
    /// True when the request may pass; a refused one does not count.
    pub(crate) fn admit(&mut self, secret: &str, operation: Operation, now: DateTime<Utc>) -> bool {
        let seen = self.seen.entry((secret.to_owned(), operation)).or_default();
        while seen.front().is_some_and(|first| *first + WINDOW <= now) {
            seen.pop_front();
        }
        let free = seen.len() < LIMIT;
        if free {
            seen.push_back(now);
        }
        free
    }
}
