//! `billing charging`: the kill switch over all charges. Look-ups of payments in flight go on.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::domain::action::Action;
use common::domain::actor::Reason;
use common::store::settings::ChargingSwitch;
use common::store::{gate, settings};
use serde::Serialize;
use sqlx::PgConnection;

use crate::OpsError;
use crate::action::{Acting, ActionOptions};
use crate::session::Session;
use crate::text::{plain, seoul};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// New charges may be made
    #[command(after_help = "Example:\n  billing charging on --reason 'the bank is back'")]
    On {
        #[command(flatten)]
        options: ActionOptions,
    },
    /// No new charge begins, anywhere; payments in flight are still looked up
    #[command(after_help = "Example:\n  billing charging off --reason 'wrong prices'")]
    Off {
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Whether charges are made, who switched it last, and whether Toss is called
    #[command(after_help = "Example:\n  billing charging status")]
    Status,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        let acting = session.acting(now)?;
        let (on, options, default) = match self {
            Self::Status => return session.print(&status(&mut conn).await?),
            Self::On { options } => (true, options, "switched on by an operator"),
            Self::Off { options } => (false, options, "switched off by an operator"),
        };
        if options.dry_run {
            return session.print(&acting.preview(&mut conn, &Action::SwitchCharging { on }).await?);
        }
        session.print(&switch(&mut conn, on, &options.reason(Some(default))?, &acting).await?)
    }
}

/// How the switch over all charges stands now, who turned it last, and whether Toss is being asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Charging {
    #[serde(flatten)]
    pub switch: ChargingSwitch,
    /// Technical failures of Toss in a row, of the account that has more of them.
    pub gateway_failures: i32,
    /// Nobody asks Toss before this; null: the breaker is closed.
    pub gateway_left_alone_until: Option<DateTime<Utc>>,
}

pub async fn status(conn: &mut PgConnection) -> Result<Charging, OpsError> {
    let breaker = gate::read(conn).await?.worst();
    Ok(Charging {
        switch: settings::charging_switch(conn).await?,
        gateway_failures: breaker.failures,
        gateway_left_alone_until: breaker.open_until,
    })
}

/// Turns charging as a whole on or off and keeps who did it, when and why.
pub async fn switch(
    conn: &mut PgConnection,
    on: bool,
    reason: &Reason,
    acting: &Acting,
) -> Result<Charging, OpsError> {
    acting.perform(conn, &Action::SwitchCharging { on }, reason).await?;
    status(conn).await
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
