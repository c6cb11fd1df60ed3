//! How the commands carry out an operator's action: who acts, with which reason, and whether only a preview is wanted.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::commands::operate;
use common::commands::operate::{ActionError, ActionRequest, Change, Performed, Preview};
use common::domain::action::{Action, Target, TargetKind};
use common::domain::actor::{Actor, Reason};
use common::email::Brand;
use common::queue::Enqueued;
use common::store::operator_actions::NewAction;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{OpsError, text::plain};

/// The options that every action takes.
#[derive(Debug, Clone, Default, Args)]
pub struct ActionOptions {
    /// Why, for the audit log: one line of 3 to 500 characters
    #[arg(long)]
    pub reason: Option<String>,
    /// Only show what it would do, or why it is not possible
    #[arg(long)]
    pub dry_run: bool,
}

impl ActionOptions {
    /// The given reason, or `default` where the command has one.
    pub fn reason(&self, default: Option<&str>) -> Result<Reason, OpsError> {
        match self.reason.as_deref().or(default) {
            Some(text) => parse_reason(text),
            None => Err(OpsError::Usage("the reason is missing: --reason '…'".to_owned())),
        }
    }
}

/// The reason of a change that is no action, for the audit log.
#[derive(Debug, Clone, Default, Args)]
pub struct ReasonOption {
    /// Why, for the audit log: one line of 3 to 500 characters
    #[arg(long)]
    pub reason: Option<String>,
}

/// A reason that a later reader can use.
pub fn parse_reason(text: &str) -> Result<Reason, OpsError> {
    Reason::parse(text).map_err(|rule| OpsError::Usage(format!("the reason {}", rule.en)))
}

/// Who acts, when, and in whose name customers are written to.
#[derive(Debug, Clone)]
pub struct Acting {
    pub actor: Actor,
    pub brand: Brand,
    pub now: DateTime<Utc>,
}

impl Acting {
    /// Does it in a transaction of its own.
    pub async fn perform(
        &self,
        conn: &mut PgConnection,
        action: &Action,
        reason: &Reason,
    ) -> Result<Performed, OpsError> {
        let request =
            ActionRequest { action, actor: &self.actor, reason, seen: None, key: None, bulk_id: None };
        let mut tx = conn.begin().await?;
        let performed = operate::perform(&mut tx, &self.brand, &request, self.now).await?;
        tx.commit().await?;
        Ok(performed)
    }

    /// What it would do. Nothing is written.
    pub async fn preview(&self, conn: &mut PgConnection, action: &Action) -> Result<ActionPreview, OpsError> {
        let preview = operate::preview(conn, &self.brand, action, &self.actor, self.now).await?;
        Ok(ActionPreview { target: action.target().to_string(), preview })
    }
}

/// Who makes a change that is no action, why and when. Each leaves a row of the operators' audit log.
#[derive(Debug, Clone)]
pub struct Author {
    pub actor: Actor,
    pub reason: Reason,
    pub now: DateTime<Utc>,
}

impl Author {
    /// Makes the change of `target` and appends its row, in the caller's transaction.
    pub(crate) async fn change<T>(
        &self,
        conn: &mut PgConnection,
        (action, target): (&str, Target),
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, OpsError>,
    ) -> Result<T, OpsError> {
        let change = Change { actor: &self.actor, action, target, reason: &self.reason };
        operate::recorded(conn, change, self.now, work).await
    }

    /// Appends the row of a day's job where it was newly enqueued, in the caller's transaction.
    pub(crate) async fn record_enqueued(
        &self,
        conn: &mut PgConnection,
        action: &str,
        enqueued: Enqueued,
        date: NaiveDate,
    ) -> Result<(), OpsError> {
        match enqueued {
            Enqueued::New(id) => {
                let target = Target::Job(id);
                let states = (&json!({}), &json!({ "date": date }));
                self.record(conn, action, (target.kind(), &target.id()), states).await
            }
            Enqueued::Existing(_) => Ok(()),
        }
    }

    /// Appends the row of a change that was made in the caller's transaction.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        action: &str,
        (target_kind, target_id): (TargetKind, &str),
        (before, after): (&Value, &Value),
    ) -> Result<(), OpsError> {
        let row = NewAction {
            actor: &self.actor,
            action,
            target_kind,
            target_id,
            subscription_id: None,
            reason: &self.reason,
            before,
            after,
            request_key: None,
            bulk_id: None,
        };
        operate::record(conn, &row, self.now).await?;
        Ok(())
    }
}

impl From<ActionError> for OpsError {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::NotFound(target) => Self::NotFound(format!("there is no {target}")),
            ActionError::Store(error) => Self::Store(error),
            ActionError::Queue(error) => Self::Queue(error),
            refused @ (ActionError::Changed { .. }
            | ActionError::Refused(_)
            | ActionError::KeyTaken
            | ActionError::Render(_)) => Self::Refused(refused.to_string()),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionPreview {
    /// As people write it.
    #[serde(skip)]
    pub target: String,
    #[serde(flatten)]
    pub preview: Preview,
}

/// An action that was done, for commands without an answer of their own.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ActionDone(pub Performed);

impl fmt::Display for ActionPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, preview } = self;
        writeln!(f, "{} of {target}; nothing was written", preview.action)?;
        writeln!(f, "  now   {}", plain(&preview.before.to_string()))?;
        match &preview.refused {
            Some(why) => writeln!(f, "  not possible: {}", plain(&why.to_string())),
            None if preview.effects.is_empty() => writeln!(f, "  changes nothing"),
            None => {
                preview
                    .effects
                    .iter()
                    .try_for_each(|effect| writeln!(f, "  would {}", plain(&effect.en())))?;
                writeln!(f, "  then  {}", plain(&preview.after.to_string()))
            }
        }
    }
}

impl fmt::Display for ActionDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Performed { action, target_kind, target_id, effects, .. } = &self.0;
        writeln!(f, "{action} of {target_kind} {target_id}")?;
        if effects.is_empty() {
            writeln!(f, "  it stood so before: nothing was written")?;
        }
        effects.iter().try_for_each(|effect| writeln!(f, "  {}", plain(&effect.en())))
    }
}
