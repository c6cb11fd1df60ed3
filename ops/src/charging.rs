//! The kill switches: charging of one subscription, and charging as a whole. Look-ups of what is in flight go on.

use std::fmt;

use chrono::{DateTime, Utc};
use common::{
    id::subscription_ref,
    store::{
        events::{self, Entry},
        gate,
        settings::{self, ChargingSwitch},
        subscriptions,
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{OpsError, error::given_reason, moment::seoul, table::plain};

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
    let before = subscriptions::lock(&mut tx, id).await?.ok_or_else(|| crate::subscription::not_found(id))?;
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
