//! The operators' actions: each is refused, or done with one row of the audit log in the same transaction.
//!
//! The console and the command line call [`preview`] and [`perform`]; the rules are in the commands below. No action
//! calls the gateway: what needs it becomes a job.

mod claim;
mod discrepancy;
mod email;
mod event;
mod invoice;
mod job;
mod operator;
mod payment;
mod record;
mod request;
mod subscription;
mod switch;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

pub use record::{Change, record, record_operator, recorded};
pub use request::{ActionError, ActionRequest, Performed, Preview, version_of};

use crate::domain::action::{Action, Effect};
use crate::domain::actor::{Actor, Reason};
use crate::domain::claim::Claim;
use crate::email::Brand;
use crate::store::action_targets::TargetState;
use crate::store::operator_actions::NewAction;
use crate::store::{action_targets, operator_actions};

/// Does it and appends the row of the audit log. The caller commits.
///
/// The target is locked first, so that of two submits at once the second finds what the first has done.
pub async fn perform(
    conn: &mut PgConnection,
    brand: &Brand,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Performed, ActionError> {
    let target = request.action.target();
    let before = action_targets::lock(conn, target).await?.ok_or_else(|| ActionError::NotFound(target))?;
    if let Some(done) = performed_before(conn, request).await? {
        return Ok(done);
    }
    if request.seen.is_some_and(|seen| seen != version_of(&before.state)) {
        return Err(ActionError::Changed { target, now: before.state });
    }
    let effects = apply(conn, brand, request, now).await?;
    let after = action_targets::read(conn, target).await?.ok_or_else(|| ActionError::NotFound(target))?;
    let changed = !effects.is_empty();
    let audit_id = if changed { Some(append(conn, request, &before, &after, now).await?) } else { None };
    Ok(Performed {
        action: request.action.name().to_owned(),
        target_kind: target.kind(),
        target_id: target.id(),
        changed,
        repeated: false,
        effects,
        before: before.state,
        after: after.state,
        audit_id,
    })
}

async fn append(
    conn: &mut PgConnection,
    request: &ActionRequest<'_>,
    before: &TargetState,
    after: &TargetState,
    now: DateTime<Utc>,
) -> Result<i64, ActionError> {
    let ActionRequest { action, actor, reason, key, bulk_id, .. } = *request;
    let row = NewAction {
        actor,
        action: action.name(),
        target_kind: action.target().kind(),
        target_id: &action.target().id(),
        subscription_id: before.subscription_id,
        reason,
        before: &before.state,
        after: &after.state,
        request_key: key,
        bulk_id,
    };
    record(conn, &row, now).await.map_err(|error| match error.constraint() {
        // Two submits with one key for different targets do not wait for each other's lock.
        Some("operator_actions_request_key_key") => ActionError::KeyTaken,
        Some(_) | None => error.into(),
    })
}

/// What the same key has done before.
async fn performed_before(
    conn: &mut PgConnection,
    request: &ActionRequest<'_>,
) -> Result<Option<Performed>, ActionError> {
    let Some(key) = request.key else { return Ok(None) };
    let Some(row) = operator_actions::of_key(conn, key).await? else { return Ok(None) };
    let target = request.action.target();
    if row.action != request.action.name() || row.target_id != target.id() {
        return Err(ActionError::KeyTaken);
    }
    Ok(Some(Performed {
        action: row.action,
        target_kind: target.kind(),
        target_id: row.target_id,
        changed: true,
        repeated: true,
        effects: Vec::new(),
        before: row.before,
        after: row.after,
        audit_id: Some(row.id),
    }))
}

/// What the action would do now: it is carried out in a transaction of its own that is rolled back, so a preview and the
/// action cannot differ.
pub async fn preview(
    conn: &mut PgConnection,
    brand: &Brand,
    action: &Action,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Preview, ActionError> {
    let mut tx = conn.begin().await.map_err(crate::store::StoreError::from)?;
    // What a command logs is not true of a preview.
    let previewed =
        try_out(&mut tx, brand, action, actor, now).with_subscriber(NoSubscriber::default()).await;
    tx.rollback().await.map_err(crate::store::StoreError::from)?;
    previewed
}

async fn try_out(
    conn: &mut PgConnection,
    brand: &Brand,
    action: &Action,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Preview, ActionError> {
    let target = action.target();
    let before = action_targets::lock(conn, target).await?.ok_or_else(|| ActionError::NotFound(target))?;
    let version = version_of(&before.state);
    let reason = Reason::of_preview();
    let request = ActionRequest { action, actor, reason: &reason, seen: None, key: None, bulk_id: None };
    let (effects, refused) = match apply(conn, brand, &request, now).await {
        Ok(effects) => (effects, None),
        Err(ActionError::Refused(why)) => (Vec::new(), Some(why)),
        Err(error) => return Err(error),
    };
    let after = match refused {
        // A statement that a constraint refused has ended the transaction.
        Some(_) => before.state.clone(),
        None => action_targets::read(conn, target)
            .await?
            .map_or_else(|| before.state.clone(), |target| target.state),
    };
    Ok(Preview {
        action: action.name(),
        target_kind: target.kind(),
        target_id: target.id(),
        subscription_id: before.subscription_id,
        refused,
        effects,
        before: before.state,
        after,
        version,
    })
}

/// No effects: it stands so already, and nothing was written.
async fn apply(
    conn: &mut PgConnection,
    brand: &Brand,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    match *request.action {
        Action::LookUpPayment(id) => payment::look_up(conn, id, request, now).await,
        Action::RefundPayment { payment_id, amount } => {
            payment::refund(conn, payment_id, amount, request, now).await
        }
        Action::ClaimPaid { payment_id, ref payment_key } => {
            claim::claim(conn, payment_id, (Claim::Paid, Some(payment_key)), request, now).await
        }
        Action::ClaimNotPaid(id) => claim::claim(conn, id, (Claim::NotPaid, None), request, now).await,
        Action::AgreeNotPaid(id) => claim::agree_not_paid(conn, id, request, now).await,
        Action::RetryJob(id) => job::retry(conn, id, request, now).await,
        Action::SnoozeJob { job_id, until } => job::snooze(conn, job_id, until, request, now).await,
        Action::DiscardJob(id) => job::discard(conn, id, request, now).await,
        Action::CancelSubscription(id) => subscription::cancel(conn, brand, id, request, now).await,
        Action::EndSubscription { subscription_id, policy } => {
            subscription::end(conn, brand, (subscription_id, policy), request, now).await
        }
        Action::PauseCharging(id) => subscription::pause_charging(conn, id, request, now).await,
        Action::ResumeCharging(id) => subscription::resume_charging(conn, id, request, now).await,
        Action::ChargeInvoice(id) => invoice::charge(conn, id, request, now).await,
        Action::ForgiveInvoice(id) => invoice::forgive(conn, id, request, now).await,
        Action::AcceptDiscrepancy(id) => discrepancy::accept(conn, id, request, now).await,
        Action::ReplayEvent(id) => event::replay(conn, id, now).await,
        Action::ResendEmail(id) => email::resend(conn, id, request, now).await,
        Action::SwitchCharging { on } => switch::charging(conn, on, request, now).await,
        Action::SwitchEvents { on } => switch::events(conn, on, request, now).await,
        Action::ResetTotp(id) => operator::reset_totp(conn, id, request).await,
    }
}
