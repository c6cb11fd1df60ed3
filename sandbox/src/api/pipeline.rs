//! What happens to every request: key, count, limit, idempotency, fault, work, answer.

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use super::Answer;
use super::execute::{Call, execute, subject};
use super::route::Target;
use crate::faults::{Effect, Late};
use crate::idempotency::{Begun, Scope, Stored};
use crate::ids;
use crate::keys::KeyKind;
use crate::line::Line;
use crate::refusal::{Language, Refusal};
use crate::script::Script;

const BODY_LIMIT_BYTES: usize = 1 << 20;
const TRACE: HeaderName = HeaderName::from_static("x-tosspayments-trace-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TEST_CODE: HeaderName = HeaderName::from_static("tosspayments-test-code");

/// A request that passed the door.
enum Admitted {
    Replay { stored: Stored, effect: Option<Effect> },
    Work(Box<Work>),
}

struct Work {
    call: Call,
    number: usize,
    epoch: u64,
    trace: String,
    scope: Option<Scope>,
    effect: Option<Effect>,
    test_code: Option<Refusal>,
}

/// What leaves the server.
enum Outgoing {
    Answer { answer: Answer, trace: Option<String> },
    Cut,
    Never,
}

pub(crate) async fn serve(
    State(script): State<Script>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let trace = ids::trace_id();
    let language = language(&parts);
    let outgoing = match to_bytes(body, BODY_LIMIT_BYTES).await {
        Err(_) => refused(&Refusal::of("INVALID_REQUEST"), language),
        Ok(bytes) => match admit(&script, &parts, &bytes, &trace) {
            Err(refusal) => refused(&refusal, language),
            Ok(admitted) => {
                // Spawned, so that a client that hangs up does not stop the money.
                let task = tokio::spawn(carry_out(script.clone(), admitted));
                task.await
                    .unwrap_or_else(|_| refused(&Refusal::of("FAILED_INTERNAL_SYSTEM_PROCESSING"), language))
            }
        },
    };
    match outgoing {
        Outgoing::Answer { answer, trace: first } => {
            let trace = first.map_or_else(|| trace.clone(), |first| format!("{trace}, {first}"));
            tracing::info!(http.method = %parts.method, http.status = answer.status, toss.trace = trace, "answered");
            response(answer, &trace, parts.headers.get(&IDEMPOTENCY_KEY))
        }
        Outgoing::Cut => {
            line.cut();
            Response::default()
        }
        Outgoing::Never => std::future::pending().await,
    }
}

fn refused(refusal: &Refusal, language: Language) -> Outgoing {
    let answer = Answer { status: refusal.status, body: refusal.body(language) };
    Outgoing::Answer { answer, trace: None }
}

fn language(parts: &Parts) -> Language {
    let wanted = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| wanted.trim().to_ascii_lowercase().starts_with("en")) {
        Language::English
    } else {
        Language::Korean
    }
}

fn admit(script: &Script, parts: &Parts, bytes: &[u8], trace: &str) -> Result<Admitted, Refusal> {
    let secret = script.accepted_keys().authenticate(&parts.headers)?;
    let target = Target::parse(&parts.method, parts.uri.path())?;
    if target.is_billing() && secret.kind == KeyKind::Widget {
        return Err(Refusal::of("INVALID_API_KEY"));
    }
    let operation = target.operation();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let call =
        Call { target, secret, query, body: serde_json::from_slice(bytes).ok(), language: language(parts) };

    let mut world = script.lock();
    let now = world.settle();
    let subject = subject(&world, &call);
    let number = world.book.asked(operation, subject.clone(), now);
    if world.switches.rate_limit && !world.limiter.admit(&call.secret.value, operation, now) {
        return Err(Refusal::of("TOO_MANY_REQUESTS"));
    }
    let test_code = test_code(parts)?;
    let scope = scope(parts, &call);
    let begun = scope.as_ref().map_or(Ok(Begun::First), |scope| world.idempotency.check(scope, now))?;
    let replay = matches!(begun, Begun::Again(_));
    let effect = world.faults.pick(operation, &subject, replay);
    if let Begun::Again(stored) = begun {
        return Ok(Admitted::Replay { stored, effect });
    }
    if let Some(scope) = &scope {
        world.idempotency.start(scope.clone(), now);
    }
    let epoch = world.epoch;
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
    if parts.method != axum::http::Method::POST {
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

async fn carry_out(script: Script, admitted: Admitted) -> Outgoing {
    let effect = match &admitted {
        Admitted::Replay { effect, .. } => effect.clone(),
        Admitted::Work(work) => work.effect.clone(),
    };
    pause(effect.as_ref().and_then(Effect::before)).await;
    let (answer, trace) = match admitted {
        Admitted::Replay { stored, effect } => {
            pause(effect.as_ref().and_then(Effect::after)).await;
            let refusal = effect.and_then(|effect| effect.refusal());
            let answer = refusal.map_or(stored.answer, |refusal| plain(&refusal, Language::Korean));
            (answer, Some(stored.trace))
        }
        Admitted::Work(work) => (process(&script, *work).await, None),
    };
    script.ring();
    on_the_wire(effect.as_ref(), answer, trace)
}

async fn pause(time: Option<std::time::Duration>) {
    if let Some(time) = time {
        tokio::time::sleep(time).await;
    }
}

fn plain(refusal: &Refusal, language: Language) -> Answer {
    Answer { status: refusal.status, body: refusal.body(language) }
}

/// Does the work under the lock, waits if it must be slow, then binds the answer to the idempotency key.
async fn process(script: &Script, work: Work) -> Answer {
    let language = work.call.language;
    let at_the_door = work.effect.as_ref().and_then(Effect::refusal).or(work.test_code.clone());
    let decision = work.effect.as_ref().and_then(Effect::decision);
    let result = at_the_door.map_or_else(|| decide(script, &work, decision), Err);
    let answer = match result {
        Ok(body) => Answer { status: 200, body },
        Err(refusal) => plain(&refusal, language),
    };
    pause(work.effect.as_ref().and_then(Effect::after)).await;
    if let Some(scope) = &work.scope {
        let seen = match &work.effect {
            Some(Effect::Error500Approved) => plain(&internal_error(), language),
            _ => answer.clone(),
        };
        let mut world = script.lock();
        let bind_server_errors = world.switches.bind_server_errors;
        world.idempotency.finish(scope, Stored { answer: seen, trace: work.trace }, bind_server_errors);
    }
    answer
}

/// A call that began before a reset leaves no trace after it.
fn decide(script: &Script, work: &Work, decision: Option<Refusal>) -> Result<String, Refusal> {
    let mut world = script.lock();
    if world.epoch != work.epoch {
        return Err(internal_error());
    }
    world.book.processed(work.number);
    execute(&mut world, &work.call, decision)
}

fn internal_error() -> Refusal {
    Refusal::of("FAILED_INTERNAL_SYSTEM_PROCESSING")
}

/// What a fault does to the answer on its way out; what was done stays done.
fn on_the_wire(effect: Option<&Effect>, answer: Answer, trace: Option<String>) -> Outgoing {
    let answer = match effect {
        Some(Effect::ApproveThenCut) => return Outgoing::Cut,
        Some(Effect::HangThenApprove { answer: Late::Never, .. }) => return Outgoing::Never,
        Some(Effect::Error500Approved) => plain(&internal_error(), Language::Korean),
        Some(Effect::Garbage) => {
            Answer { status: 200, body: "<html><body>upstream connect error</body></html>".to_owned() }
        }
        Some(Effect::AnswerWrongAmount) => another_order(answer),
        _ => answer,
    };
    Outgoing::Answer { answer, trace }
}

fn another_order(answer: Answer) -> Answer {
    let Ok(mut body) = serde_json::from_str::<serde_json::Value>(&answer.body) else { return answer };
    let Some(fields) = body.as_object_mut().filter(|fields| fields.contains_key("totalAmount")) else {
        return answer;
    };
    for amount in ["totalAmount", "balanceAmount"] {
        fields.insert(amount.to_owned(), 77_777.into());
    }
    fields.insert("orderId".to_owned(), "order-of-somebody-else".into());
    fields.insert("paymentKey".to_owned(), "tsbox19700101000000other".into());
    Answer { status: answer.status, body: body.to_string() }
}

fn response(answer: Answer, trace: &str, idempotency_key: Option<&HeaderValue>) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = axum::http::StatusCode::from_u16(answer.status)
        .unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    if let Ok(trace) = HeaderValue::from_str(trace) {
        headers.insert(TRACE, trace);
    }
    if let Some(key) = idempotency_key {
        headers.insert(IDEMPOTENCY_KEY, key.clone());
    }
    response
}
