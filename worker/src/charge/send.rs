//! Sends one charge: commits the intent, calls, records the outcome.

use common::domain::payment::Payment;
use common::queue::{JobError, Lease, Ran, hold_on};

use super::context::ChargeContext;
use super::{gateway, outcome};
use crate::card::replacement;
use crate::crash;
use crate::env::{Env, Tx};
use crate::gateway::health::Caller;

/// How a request leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    /// The same order and key were sent before, and Toss did not know the order.
    pub(crate) again: bool,
    pub(crate) caller: Caller,
}

/// Commits the intent, calls, records. From the commit on, nothing may drop this future.
pub(crate) async fn send(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    context: &ChargeContext,
    attempt: &Payment,
    sending: Sending,
) -> Result<Ran, JobError> {
    tracing::Span::current().record("payment.id", tracing::field::display(attempt.id));
    let charged = replacement::charged_with(&mut tx, &context.subscription, attempt).await?;
    tx.commit().await?;
    crash::point("after_intent");
    hold_on();
    let outcome = gateway::charge(env, &charged, attempt, &context.plan_name, sending.again).await;
    crash::point("after_call");
    outcome::record(env, lease, attempt, sending.caller, outcome).await
}
