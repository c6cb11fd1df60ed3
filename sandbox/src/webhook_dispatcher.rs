//! The dispatcher: sends webhooks that are due, and lets payments expire as time passes.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::clock::stamp;
use crate::script::Script;
use crate::webhooks::Dispatch;

/// How long Toss waits for the 200.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_secs(1);

/// Runs until dropped; wakes at once when an event arises or the clock is moved.
pub(crate) async fn run(script: Script) {
    loop {
        let due = {
            let mut state = script.lock();
            let now = state.settle();
            state.webhooks.take_due(now)
        };
        for dispatch in due {
            let script = script.clone();
            tokio::spawn(async move {
                let answer = send(&dispatch).await;
                tracing::info!(webhook.id = dispatch.id, webhook.answer = answer, "webhook sent");
                script.lock().webhooks.tried(&dispatch, answer);
                script.wake();
            });
        }
        tokio::select! {
            () = script.woken() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// The status as text, or what went wrong.
async fn send(dispatch: &Dispatch) -> String {
    let request = Request::post(dispatch.url.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .header("tosspayments-webhook-transmission-time", stamp(dispatch.sent_at))
        .header("tosspayments-webhook-transmission-retried-count", dispatch.retried_count.to_string())
        .header("tosspayments-webhook-transmission-id", &dispatch.transmission_id)
        .body(Full::new(Bytes::from(dispatch.body.clone())));
    let request = match request {
        Ok(request) => request,
        Err(error) => return error.to_string(),
    };
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    match tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await {
        Ok(Ok(response)) => response.status().as_u16().to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer within 10 seconds".to_owned(),
    }
}
