//! `Idempotency-Key`: the first answer is kept for 15 days and given again, byte for byte.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::refusal::{Language, Refusal};

const VALID_FOR: TimeDelta = TimeDelta::days(15);
const MAX_CHARS: usize = 300;

/// A key counts per secret, method and path; the body is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// A finished answer: status and the exact body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn refusing(refusal: &Refusal, language: Language) -> Self {
        Self { status: refusal.status, body: refusal.body(language) }
    }
}

#[derive(Debug, Clone)]
enum Kept {
    InFlight,
    Answered(Stored),
}

/// The first answer and the trace id it went out with.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) answer: Answer,
    pub(crate) trace: String,
}

#[derive(Debug)]
pub(crate) enum Begun {
    First,
    Again(Stored),
}

#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    kept: HashMap<Scope, (DateTime<Utc>, Kept)>,
}

impl Idempotency {
    /// Without a side effect: what the key already stands for.
    pub(crate) fn check(&self, scope: &Scope, now: DateTime<Utc>) -> Result<Begun, Refusal> {
        if scope.key.chars().count() > MAX_CHARS {
            return Err(Refusal::of("INVALID_IDEMPOTENCY_KEY"));
        }
        match self.kept.get(scope) {
            Some((_, Kept::InFlight)) => Err(Refusal::of("IDEMPOTENT_REQUEST_PROCESSING")),
            Some((since, Kept::Answered(stored))) if now < *since + VALID_FOR => {
                Ok(Begun::Again(stored.clone()))
            }
            // What Toss does with a key after its 15 days is not documented; here it is a new key.
            _ => Ok(Begun::First),
        }
    }

    pub(crate) fn start(&mut self, scope: Scope, now: DateTime<Utc>) {
        self.kept.insert(scope, (now, Kept::InFlight));
    }

    /// Successes and refusals are bound to the key; server errors only on request; 409 and 429 never.
    pub(crate) fn finish(&mut self, scope: &Scope, stored: Stored, bind_server_errors: bool) {
        let bound = match stored.answer.status {
            409 | 429 => false,
            status if status >= 500 => bind_server_errors,
            _ => true,
        };
        if !bound {
            self.kept.remove(scope);
        } else if let Some((_, kept)) = self.kept.get_mut(scope) {
            *kept = Kept::Answered(stored);
        }
    }
}
