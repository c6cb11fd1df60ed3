//! Every request passes three steps: admission, the call itself, the answer.

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;

use super::admission::{Admitted, IDEMPOTENCY_KEY, Work, admit, language};
use super::execute::execute;
use super::wire::{Outgoing, apply_effect, internal_error, response};
use crate::connection::CuttableConnection;
use crate::faults::Effect;
use crate::idempotency::{Answer, Stored};
use crate::ids;
use crate::refusal::{Language, Refusal};
use crate::script::Script;

const BODY_LIMIT_BYTES: usize = 1 << 20;

pub(crate) async fn serve(
    State(script): State<Script>,
    ConnectInfo(connection): ConnectInfo<CuttableConnection>,
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
            let retry_after = script.lock().switches.retry_after_secs;
            response(answer, &trace, (parts.headers.get(&IDEMPOTENCY_KEY), retry_after))
        }
        Outgoing::Cut => {
            connection.cut();
            Response::default()
        }
        Outgoing::Never => std::future::pending().await,
    }
}

fn refused(refusal: &Refusal, language: Language) -> Outgoing {
    Outgoing::Answer { answer: Answer::refusing(refusal, language), trace: None }
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
            let answer =
                refusal.map_or(stored.answer, |refusal| Answer::refusing(&refusal, Language::Korean));
            (answer, Some(stored.trace))
        }
        Admitted::Work(work) => (process(&script, *work).await, None),
    };
    script.wake();
    apply_effect(effect.as_ref(), answer, trace)
}

async fn pause(time: Option<std::time::Duration>) {
    if let Some(time) = time {
        tokio::time::sleep(time).await;
    }
}

/// Does the work under the lock, waits if it must be slow, then binds the answer to the idempotency key.
async fn process(script: &Script, work: Work) -> Answer {
    let language = work.call.language;
    let early_refusal = work.effect.as_ref().and_then(Effect::refusal).or(work.test_code.clone());
    let decision = work.effect.as_ref().and_then(Effect::decision);
    let result = early_refusal.map_or_else(|| decide(script, &work, decision), Err);
    let answer = match result {
        Ok(body) => Answer { status: 200, body },
        Err(refusal) => Answer::refusing(&refusal, language),
    };
    pause(work.effect.as_ref().and_then(Effect::after)).await;
    if let Some(scope) = &work.scope {
        let seen = match &work.effect {
            Some(Effect::Error500Approved) => Answer::refusing(&internal_error(), language),
            _ => answer.clone(),
        };
        let mut state = script.lock();
        let bind_server_errors = state.switches.bind_server_errors;
        state.idempotency.finish(scope, Stored { answer: seen, trace: work.trace }, bind_server_errors);
    }
    answer
}

/// A call that began before a reset leaves no trace after it.
fn decide(script: &Script, work: &Work, decision: Option<Refusal>) -> Result<String, Refusal> {
    let mut state = script.lock();
    if state.epoch != work.epoch {
        return Err(internal_error());
    }
    state.request_log.processed(work.number);
    execute(&mut state, &work.call, decision)
}
