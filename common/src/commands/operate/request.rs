//! An operator's request, what became of it, and why it may not be carried out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::commands::cancel::CancelError;
use crate::commands::end::EndError;
use crate::commands::refund::RefundError;
use crate::domain::action::{Action, Effect, Refusal, Target, TargetKind};
use crate::domain::actor::{Actor, Reason};
use crate::domain::subscription::CancelRefused;
use crate::email::RenderError;
use crate::outbox::OutboxError;
use crate::store::StoreError;

/// Who does what, and why.
#[derive(Debug, Clone, Copy)]
pub struct ActionRequest<'a> {
    pub action: &'a Action,
    pub actor: &'a Actor,
    pub reason: &'a Reason,
    /// The version that the operator was shown. `None`: the target as it is now.
    pub seen: Option<&'a str>,
    /// Names one submitted form: the same key again is the same action.
    pub key: Option<&'a str>,
    /// The bulk action that this one is an item of.
    pub bulk_id: Option<Uuid>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Performed {
    pub action: String,
    pub target_kind: TargetKind,
    pub target_id: String,
    /// False: it stood so before, and nothing was written.
    pub changed: bool,
    /// True: the same key had been submitted before; nothing was written this time.
    pub repeated: bool,
    pub effects: Vec<Effect>,
    pub before: Value,
    pub after: Value,
    /// The row of the audit log.
    pub audit_id: Option<i64>,
}

/// What an action would do, as things stand. Nothing was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub action: &'static str,
    pub target_kind: TargetKind,
    pub target_id: String,
    pub subscription_id: Option<Uuid>,
    /// Why it is not possible now.
    #[serde(serialize_with = "refusal_text")]
    pub refused: Option<Refusal>,
    /// Empty without a refusal: it stands so already.
    pub effects: Vec<Effect>,
    pub before: Value,
    pub after: Value,
    /// Goes into [`ActionRequest::seen`], so that nothing is done to a target that has changed since.
    pub version: String,
}

#[expect(clippy::ref_option, reason = "serde calls it with the field")]
fn refusal_text<S: serde::Serializer>(refused: &Option<Refusal>, to: S) -> Result<S::Ok, S::Error> {
    refused.as_ref().map(ToString::to_string).serialize(to)
}

#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    #[error("there is no {0}")]
    NotFound(Target),
    /// The target is not what the operator was shown.
    #[error("the {target} changed meanwhile")]
    Changed { target: Target, now: Value },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the key was used before for another action")]
    KeyTaken,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(queue::QueueError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// A digest of the target as it was shown. Equal states have equal versions.
pub fn version_of(state: &Value) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(state.to_string().as_bytes()))
}

impl From<queue::QueueError> for ActionError {
    fn from(error: queue::QueueError) -> Self {
        match error {
            queue::QueueError::WrongState { .. } => Refusal::JobState(error.to_string()).into(),
            queue::QueueError::NotFound(id) => Self::NotFound(Target::Job(id)),
            other => Self::Queue(other),
        }
    }
}

impl From<OutboxError> for ActionError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Store(error) => error.into(),
            OutboxError::Queue(error) => error.into(),
        }
    }
}

impl ActionError {
    pub(super) fn of_cancel(error: CancelError, target: Target) -> Self {
        match error {
            CancelError::NotFound => Self::NotFound(target),
            CancelError::Refused(CancelRefused::AlreadyCanceled) => Refusal::AlreadyCanceled.into(),
            CancelError::Store(error) => error.into(),
            CancelError::Outbox(error) => error.into(),
            CancelError::Render(error) => error.into(),
        }
    }

    pub(super) fn of_end(error: EndError, target: Target) -> Self {
        match error {
            EndError::NotFound => Self::NotFound(target),
            EndError::Refused(_) | EndError::KeyTaken => Refusal::AlreadyEnded.into(),
            EndError::Refund(error) => Self::of_refund(error, target),
            EndError::Store(error) => error.into(),
            EndError::Outbox(error) => error.into(),
            EndError::Render(error) => error.into(),
        }
    }

    pub(super) fn of_refund(error: RefundError, target: Target) -> Self {
        match error {
            RefundError::NotFound => Self::NotFound(target),
            RefundError::NotRefundable => Refusal::NothingToRefund.into(),
            RefundError::TooMuch(left) => Refusal::RefundTooLarge(left).into(),
            RefundError::NeedsBankAccount => Refusal::DepositRefund.into(),
            RefundError::InProgress => Refusal::RefundInProgress.into(),
            RefundError::KeyTaken => Self::KeyTaken,
            RefundError::Store(error) => error.into(),
            RefundError::Queue(error) => error.into(),
        }
    }
}
