//! `billing subscription`: shows one subscription, stops and resumes its charges, ends it.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::{
    id::subscription_ref,
    store::{
        events::{self, Entry},
        subscriptions,
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    OpsError, arguments,
    end::{EndRequest, end},
    error::{given_reason, no_subscription},
    session::Session,
    subscription_history::show,
    text::seoul,
};

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
        #[arg(long, default_value = "paused by an operator")]
        reason: String,
    },
    /// Charge it again
    #[command(
        after_help = "Example:\n  billing subscription resume-charging sub_0192f0c1a2b37c4d8e5f60718293a4b5"
    )]
    ResumeCharging {
        /// sub_… or a UUID
        #[arg(value_parser = arguments::subscription_id)]
        id: Uuid,
        #[arg(long, default_value = "resumed by an operator")]
        reason: String,
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
        let (conn, actor) = (&mut connection, session.actor.as_str());
        match self {
            Self::Show { id } => session.print(&show(conn, id, now).await?),
            Self::Pause { id, reason } => session.print(&pause(conn, id, &reason, actor, now).await?),
            Self::ResumeCharging { id, reason } => {
                session.print(&resume(conn, id, &reason, actor, now).await?)
            }
            Self::End(request) => {
                let brand = session.brand()?;
                session.print(&end(conn, &brand, &request, actor, now).await?)
            }
        }
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
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<SubscriptionCharging, OpsError> {
    let entry = Entry { actor, what: "charging.paused", why: given_reason(reason)? };
    turn(conn, id, Some(now), entry, now).await
}

/// What is due meanwhile is charged by its waiting job or the next scan.
pub async fn resume(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<SubscriptionCharging, OpsError> {
    let entry = Entry { actor, what: "charging.resumed", why: given_reason(reason)? };
    turn(conn, id, None, entry, now).await
}

async fn turn(
    conn: &mut PgConnection,
    id: Uuid,
    paused_at: Option<DateTime<Utc>>,
    entry: Entry<'_>,
    now: DateTime<Utc>,
) -> Result<SubscriptionCharging, OpsError> {
    let mut tx = conn.begin().await?;
    let before = subscriptions::lock(&mut tx, id).await?.ok_or_else(|| no_subscription(id))?;
    let subscription = subscription_ref(id);
    if before.charging_paused_at.is_some() == paused_at.is_some() {
        return Ok(SubscriptionCharging {
            subscription,
            paused_at: before.charging_paused_at,
            changed: false,
        });
    }
    subscriptions::pause_charging(&mut tx, id, paused_at).await?;
    events::append(&mut tx, &before, entry, now).await?;
    tx.commit().await?;
    Ok(SubscriptionCharging { subscription, paused_at, changed: true })
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
