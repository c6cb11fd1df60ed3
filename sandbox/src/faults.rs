//! Scripted misbehaviour: which calls it hits and what it does to them.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::ledger::{Operation, Subject};
use crate::refusal::Refusal;

/// When the answer of a hung call arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerTiming {
    #[default]
    Late,
    Never,
}

/// What goes wrong. "Carried out" means that the call has its usual effect: a good card is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Carried out at once, answered after `ms` milliseconds.
    Delay { ms: u64 },
    /// Carried out; the connection is closed without a byte of answer.
    ApproveThenCut,
    /// Nothing happens for `ms` milliseconds, then it is carried out; answered then, or never.
    HangThenApprove {
        ms: u64,
        #[serde(default)]
        answer: AnswerTiming,
    },
    /// Carried out, answered 500.
    #[serde(rename = "error_500_approved")]
    Error500Approved,
    /// Not carried out, answered 500.
    #[serde(rename = "error_500_not_approved")]
    Error500NotApproved,
    /// Not carried out, answered 429.
    #[serde(rename = "status_429")]
    Status429,
    /// Not carried out, answered 409 `IDEMPOTENT_REQUEST_PROCESSING`.
    #[serde(rename = "status_409")]
    Status409,
    /// Carried out; 200 with a body that is not JSON.
    Garbage,
    /// The bank decides so: on a charge or confirm this is a decline like that of a bad card.
    Error {
        code: String,
        #[serde(default)]
        status: Option<u16>,
        #[serde(default)]
        message: Option<String>,
    },
    /// Carried out; 200 with the order id and amount of another order.
    AnswerWrongAmount,
    /// A lookup that does not find the payment.
    #[serde(rename = "lookup_404")]
    Lookup404,
}

impl Effect {
    pub(crate) fn before(&self) -> Option<Duration> {
        match self {
            Self::HangThenApprove { ms, .. } => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }

    pub(crate) fn after(&self) -> Option<Duration> {
        match self {
            Self::Delay { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }

    /// The answer given at the door instead of carrying the call out.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Error500NotApproved => Some(Refusal::of("FAILED_INTERNAL_SYSTEM_PROCESSING")),
            Self::Status429 => Some(Refusal::of("TOO_MANY_REQUESTS")),
            Self::Status409 => Some(Refusal::of("IDEMPOTENT_REQUEST_PROCESSING")),
            Self::Lookup404 => Some(Refusal::of("NOT_FOUND_PAYMENT")),
            _ => None,
        }
    }

    pub(crate) fn decision(&self) -> Option<Refusal> {
        let Self::Error { code, status, message } = self else { return None };
        let known = Refusal::of(code);
        Some(Refusal { status: status.unwrap_or(known.status), message: message.clone(), ..known })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the default has the type of its field")]
fn once() -> Option<u64> {
    Some(1)
}

/// A fault and the calls it hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    #[serde(flatten)]
    pub effect: Effect,
    /// None hits every operation.
    #[serde(default)]
    pub operation: Option<Operation>,
    #[serde(default)]
    pub order_id_prefix: Option<String>,
    #[serde(default)]
    pub customer_key: Option<String>,
    /// How many matching calls it is tried on; null: all, until deleted. Default 1.
    #[serde(default = "once")]
    pub times: Option<u64>,
    /// Chance that a matching call is hit, 0 to 1; default: certain.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Makes the chances repeatable. Default 0.
    #[serde(default)]
    pub seed: u64,
}

impl Fault {
    /// Hits the next call of this operation.
    pub fn next(operation: Operation, effect: Effect) -> Self {
        Self {
            effect,
            operation: Some(operation),
            order_id_prefix: None,
            customer_key: None,
            times: once(),
            probability: None,
            seed: 0,
        }
    }

    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    #[must_use]
    pub fn for_orders(mut self, prefix: &str) -> Self {
        self.order_id_prefix = Some(prefix.to_owned());
        self
    }

    #[must_use]
    pub fn for_customer(mut self, customer_key: &str) -> Self {
        self.customer_key = Some(customer_key.to_owned());
        self
    }

    #[must_use]
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        self.probability = Some(probability);
        self.seed = seed;
        self
    }

    fn matches(&self, operation: Operation, subject: &Subject) -> bool {
        let order_id = subject.order_id.as_deref();
        let prefix = self.order_id_prefix.as_deref();
        self.operation.is_none_or(|wanted| wanted == operation)
            && (self.effect != Effect::Lookup404 || operation == Operation::Lookup)
            && prefix.is_none_or(|prefix| order_id.is_some_and(|id| id.starts_with(prefix)))
            && (self.customer_key.is_none() || self.customer_key == subject.customer_key)
    }
}

/// A fault that is set, with its number and the calls it has left.
#[derive(Debug, Serialize)]
struct ActiveFault {
    id: u64,
    #[serde(flatten)]
    fault: Fault,
    hits: u64,
    #[serde(skip)]
    rng: StdRng,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<ActiveFault>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        let rng = StdRng::seed_from_u64(fault.seed);
        self.active.push(ActiveFault { id: self.last_id, fault, hits: 0, rng });
        self.last_id
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    pub(crate) fn list(&self) -> serde_json::Value {
        serde_json::to_value(&self.active).unwrap_or_default()
    }

    /// The first fault that hits this call, in the order they were set. A replay is not decided anew, so
    /// [`Effect::Error`] passes it by.
    pub(crate) fn pick(&mut self, operation: Operation, subject: &Subject, replay: bool) -> Option<Effect> {
        let mut picked = None;
        for active in &mut self.active {
            let decides = matches!(active.fault.effect, Effect::Error { .. });
            if (replay && decides) || !active.fault.matches(operation, subject) {
                continue;
            }
            if let Some(times) = &mut active.fault.times {
                *times = times.saturating_sub(1);
            }
            let chance = active.fault.probability.unwrap_or(1.0).clamp(0.0, 1.0);
            if active.rng.random_bool(chance) {
                active.hits += 1;
                picked = Some(active.fault.effect.clone());
                break;
            }
        }
        self.active.retain(|active| active.fault.times != Some(0));
        picked
    }
}
