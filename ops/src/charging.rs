//! `billing charging`: the kill switch over all charges. Look-ups of payments in flight go on.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::store::{
    gate,
    settings::{self, ChargingSwitch},
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::{
    OpsError,
    error::given_reason,
    session::Session,
    text::{plain, seoul},
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// New charges may be made
    #[command(after_help = "Example:\n  billing charging on --reason 'the bank is back'")]
    On {
        #[arg(long, default_value = "switched on by an operator")]
        reason: String,
    },
    /// No new charge begins, anywhere; payments in flight are still looked up
    #[command(after_help = "Example:\n  billing charging off --reason 'wrong prices'")]
    Off {
        #[arg(long, default_value = "switched off by an operator")]
        reason: String,
    },
    /// Whether charges are made, who switched it last, and whether Toss is called
    #[command(after_help = "Example:\n  billing charging status")]
    Status,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        let (enabled, reason) = match self {
            Self::Status => return session.print(&status(&mut conn).await?),
            Self::On { reason } => (true, reason),
            Self::Off { reason } => (false, reason),
        };
        session.print(&switch(&mut conn, enabled, &reason, &session.actor, now).await?)
    }
}

/// How the switch over all charges stands now, who turned it last, and whether Toss is being asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Charging {
    #[serde(flatten)]
    pub switch: ChargingSwitch,
    /// Technical failures of Toss in a row.
    pub gateway_failures: i32,
    /// Nobody asks Toss before this; null: the breaker is closed.
    pub gateway_left_alone_until: Option<DateTime<Utc>>,
}

pub async fn status(conn: &mut PgConnection) -> Result<Charging, OpsError> {
    let breaker = gate::read(conn).await?.breaker;
    Ok(Charging {
        switch: settings::charging_switch(conn).await?,
        gateway_failures: breaker.failures,
        gateway_left_alone_until: breaker.open_until,
    })
}

/// Turns charging as a whole on or off and keeps who did it, when and why.
pub async fn switch(
    conn: &mut PgConnection,
    enabled: bool,
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Charging, OpsError> {
    let mut tx = conn.begin().await?;
    settings::switch_charging(&mut tx, enabled, actor, given_reason(reason)?, now).await?;
    let stand = status(&mut tx).await?;
    tx.commit().await?;
    Ok(stand)
}

impl fmt::Display for Charging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { switch, gateway_failures, gateway_left_alone_until } = self;
        let stand = if switch.enabled { "on" } else { "OFF: no new charge begins" };
        writeln!(f, "charging is {stand}")?;
        if let (Some(since), Some(actor), Some(why)) = (switch.since, &switch.actor, &switch.why) {
            writeln!(f, "since {} by {}: {}", seoul(since), plain(actor), plain(why))?;
        }
        if let Some(until) = gateway_left_alone_until {
            writeln!(
                f,
                "Toss is left alone until {}, after {gateway_failures} failures in a row",
                seoul(*until)
            )?;
        }
        Ok(())
    }
}
