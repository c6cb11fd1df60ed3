//! `billing subscription`: shows one subscription, stops and resumes its charges, cancels or ends it.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::domain::action::Action;
use common::domain::actor::Reason;
use common::id::subscription_ref;
use common::store::subscriptions;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::action::{Acting, ActionDone, ActionOptions};
use crate::end::{EndRequest, end};
use crate::error::no_subscription;
use crate::session::Session;
use crate::subscription_history::show;
use crate::text::seoul;
use crate::{OpsError, arguments};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Its invoices, payments, refunds, e-mails, jobs and audit log in one screen
    #[command(after_help = "Example:\n  billing subscription show sub_0192f0c1a2b37c4d8e5f60718293a4b5")]
    Show {
        /// sub_… or a UUID
        #[arg(value_parser = arguments::subscription_id)]
        id: Uuid,
    },
    /// Stop charging it; payments in flight are still looked up
    #[command(
        after_help = "Example:\n  billing subscription pause sub_0192f0c1a2b37c4d8e5f60718293a4b5 --reason dispute"
    )]
    Pause {
        /// sub_… or a UUID
        #[arg(value_parser = arguments::subscription_id)]
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Charge it again
    #[command(
        after_help = "Example:\n  billing subscription resume-charging sub_0192f0c1a2b37c4d8e5f60718293a4b5"
    )]
    ResumeCharging {
        /// sub_… or a UUID
        #[arg(value_parser = arguments::subscription_id)]
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Cancel it: no further charge, access to the end of what is paid
    #[command(
        after_help = "Example:\n  billing subscription cancel sub_0192f0c1a2b37c4d8e5f60718293a4b5 --reason '고객 요청'"
    )]
    Cancel {
        /// sub_… or a UUID
        #[arg(value_parser = arguments::subscription_id)]
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// End it at once: no access, no further charge; the share of the unused days goes back
    ///
    /// The day on which it ends counts as used, and a fraction of a won is kept. The same again changes nothing. The
    /// customer is told in the name of `BRAND_NAME`, with links to `PUBLIC_URL`.
    End(EndRequest),
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        if let Some(action) = self.previewed() {
            return session.print(&acting.preview(conn, &action).await?);
        }
        match self {
            Self::Show { id } => session.print(&show(conn, id, now).await?),
            Self::Pause { id, options } => {
                let reason = options.reason(Some("paused by an operator"))?;
                session.print(&pause(conn, id, &reason, &acting).await?)
            }
            Self::ResumeCharging { id, options } => {
                let reason = options.reason(Some("resumed by an operator"))?;
                session.print(&resume(conn, id, &reason, &acting).await?)
            }
            Self::Cancel { id, options } => {
                let (action, reason) = (Action::CancelSubscription(id), options.reason(None)?);
                session.print(&ActionDone(acting.perform(conn, &action, &reason).await?))
            }
            Self::End(request) => session.print(&end(conn, &request, &acting).await?),
        }
    }

    /// The action of which only a preview is wanted.
    fn previewed(&self) -> Option<Action> {
        let (action, options) = match self {
            Self::Show { .. } => return None,
            Self::Pause { id, options } => (Action::PauseCharging(*id), options),
            Self::ResumeCharging { id, options } => (Action::ResumeCharging(*id), options),
            Self::Cancel { id, options } => (Action::CancelSubscription(*id), options),
            Self::End(request) => (request.action(), &request.options),
        };
        options.dry_run.then_some(action)
    }
}

/// How one subscription's switch stands now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionCharging {
    /// `sub_…`
    pub subscription: String,
    pub paused_at: Option<DateTime<Utc>>,
    /// False: it stood so before, and nothing was written.
    pub changed: bool,
}

/// No new charge of this subscription begins from here on.
pub async fn pause(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &Reason,
    acting: &Acting,
) -> Result<SubscriptionCharging, OpsError> {
    let performed = acting.perform(conn, &Action::PauseCharging(id), reason).await?;
    charging(conn, id, performed.changed).await
}

/// What is due meanwhile is charged by its waiting job or the next scan.
pub async fn resume(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &Reason,
    acting: &Acting,
) -> Result<SubscriptionCharging, OpsError> {
    let performed = acting.perform(conn, &Action::ResumeCharging(id), reason).await?;
    charging(conn, id, performed.changed).await
}

async fn charging(
    conn: &mut PgConnection,
    id: Uuid,
    changed: bool,
) -> Result<SubscriptionCharging, OpsError> {
    let subscription = subscriptions::find(conn, id).await?.ok_or_else(|| no_subscription(id))?;
    let paused_at = subscription.charging_paused_at;
    Ok(SubscriptionCharging { subscription: subscription_ref(id), paused_at, changed })
}

impl fmt::Display for SubscriptionCharging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.changed { "" } else { " (it was before)" };
        match self.paused_at {
            Some(at) => {
                writeln!(f, "charging of {} is paused since {}{before}", self.subscription, seoul(at))
            }
            None => writeln!(f, "charging of {} goes on{before}", self.subscription),
        }
    }
}
