//! Admission of a request: which call it is, whose key it carries, whether it may pass, and which fault hits it.

use axum::http::request::Parts;
use axum::http::{HeaderName, Method, header};

use super::execute::subject;
use super::route::{Call, Target};
use crate::faults::Effect;
use crate::idempotency::{Begun, Scope, Stored};
use crate::keys::KeyKind;
use crate::refusal::{Language, Refusal};
use crate::script::Script;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TEST_CODE: HeaderName = HeaderName::from_static("tosspayments-test-code");

/// A request that was admitted.
pub(super) enum Admitted {
    Replay { stored: Stored, effect: Option<Effect> },
    Work(Box<Work>),
}

pub(super) struct Work {
    pub(super) call: Call,
    pub(super) number: usize,
    pub(super) epoch: u64,
    pub(super) trace: String,
    pub(super) scope: Option<Scope>,
    pub(super) effect: Option<Effect>,
    pub(super) test_code: Option<Refusal>,
}

pub(super) fn admit(script: &Script, parts: &Parts, bytes: &[u8], trace: &str) -> Result<Admitted, Refusal> {
    let target = Target::parse(&parts.method, parts.uri.path())?;
    let secret = script.accepted_keys().authenticate(&parts.headers)?;
    if target.is_billing() && secret.kind == KeyKind::Widget {
        return Err(Refusal::of("INVALID_API_KEY"));
    }
    let operation = target.operation();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let call =
        Call { target, secret, query, body: serde_json::from_slice(bytes).ok(), language: language(parts) };

    let mut state = script.lock();
    let now = state.settle();
    let subject = subject(&state, &call);
    let number = state.request_log.asked(operation, subject.clone(), now);
    if state.switches.rate_limit && !state.limiter.admit(&call.secret.value, operation, now) {
        return Err(Refusal::of("TOO_MANY_REQUESTS"));
    }
    let test_code = test_code(parts)?;
    let scope = scope(parts, &call);
    let begun = scope.as_ref().map_or(Ok(Begun::First), |scope| state.idempotency.check(scope, now))?;
    let replay = matches!(begun, Begun::Again(_));
    let effect = state.faults.pick(operation, &subject, replay);
    if let Begun::Again(stored) = begun {
        return Ok(Admitted::Replay { stored, effect });
    }
    if let Some(scope) = &scope {
        state.idempotency.start(scope.clone(), now);
    }
    let epoch = state.epoch;
    Ok(Admitted::Work(Box::new(Work {
        call,
        number,
        epoch,
        trace: trace.to_owned(),
        scope,
        effect,
        test_code,
    })))
}

/// `Idempotency-Key` counts on POST only; the other methods repeat harmlessly.
fn scope(parts: &Parts, call: &Call) -> Option<Scope> {
    if parts.method != Method::POST {
        return None;
    }
    let key = parts.headers.get(&IDEMPOTENCY_KEY)?;
    Some(Scope {
        key: String::from_utf8_lossy(key.as_bytes()).into_owned(),
        secret: call.secret.value.clone(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
    })
}

fn test_code(parts: &Parts) -> Result<Option<Refusal>, Refusal> {
    let Some(value) = parts.headers.get(&TEST_CODE) else { return Ok(None) };
    match value.to_str() {
        Ok(code) if Refusal::is_known(code) => Ok(Some(Refusal::of(code))),
        _ => Err(Refusal::of("INVALID_TEST_CODE")),
    }
}

pub(super) fn language(parts: &Parts) -> Language {
    let wanted = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| wanted.trim().to_ascii_lowercase().starts_with("en")) {
        Language::English
    } else {
        Language::Korean
    }
}
