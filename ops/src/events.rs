//! `billing events`: the outgoing events of the merchant's application, delivering them again, and the switch.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use common::domain::action::Action;
use common::domain::actor::Reason;
use common::id::{event_ref, subscription_ref};
use common::store::webhook_deliveries;
use common::store::webhook_deliveries::{EventFilter, EventRow, WebhookEndpoint};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::action::{Acting, ActionOptions, parse_reason};
use crate::jobs::{JobList, JobView, JobsWanted};
use crate::session::Session;
use crate::text::{Table, plain, seoul, seoul_or_dash};
use crate::{OpsError, arguments, jobs};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Events, newest first, and where they go
    #[command(after_help = "Examples:
  billing events list --state failed
  billing events list --subscription sub_0192f0c1a2b37c4d8e5f60718293a4b5")]
    List {
        #[command(flatten)]
        which: Which,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
        limit: u16,
    },
    /// One event with its body and its deliveries
    #[command(after_help = "Example:\n  billing events show evt_0192f0c1a2b37c4d8e5f60718293a4b5")]
    Show {
        #[arg(value_parser = arguments::event_id)]
        id: Uuid,
    },
    /// Have events delivered again, under their old ids: some, a span of time, or all that failed
    #[command(after_help = "Examples:
  billing events replay evt_0192f0c1a2b37c4d8e5f60718293a4b5
  billing events replay --state failed
  billing events replay --since 2027-01-31T09:00:00+09:00 --until 2027-01-31T12:00:00+09:00")]
    Replay {
        #[arg(value_parser = arguments::event_id, value_name = "ID")]
        ids: Vec<Uuid>,
        #[command(flatten)]
        which: Which,
        /// Why, for the audit log
        #[arg(long, default_value = "replayed by an operator")]
        reason: String,
    },
    /// Deliver events again, after `off` or after the endpoint answered 410
    #[command(after_help = "Example:\n  billing events on --reason 'the endpoint is back'")]
    On {
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Deliver no more events: those written from now on are kept undelivered
    #[command(after_help = "Example:\n  billing events off --reason 'the endpoint moves'")]
    Off {
        #[command(flatten)]
        options: ActionOptions,
    },
}

#[derive(Debug, Args)]
pub struct Which {
    /// sub_… or a UUID
    #[arg(long, value_name = "ID", value_parser = arguments::subscription_id)]
    subscription: Option<Uuid>,
    #[arg(long)]
    state: Option<State>,
    /// Written at or after this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    since: Option<DateTime<Utc>>,
    /// Written before this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Waits for its next try or for an earlier event of its subscription
    Pending,
    Delivered,
    /// Given up
    Failed,
    /// Written while delivery was off
    None,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        let (on, options, default) = match self {
            Self::List { which, limit } => {
                return session.print(&list(conn, &which.filter(Vec::new()), limit).await?);
            }
            Self::Show { id } => return session.print(&show(conn, id).await?),
            Self::Replay { ids, which, reason } => {
                let reason = parse_reason(&reason)?;
                return session.print(&replay(conn, &which.filter(ids), &reason, &acting).await?);
            }
            Self::On { options } => (true, options, "switched on by an operator"),
            Self::Off { options } => (false, options, "switched off by an operator"),
        };
        if options.dry_run {
            return session.print(&acting.preview(conn, &Action::SwitchEvents { on }).await?);
        }
        session.print(&switch(conn, on, &options.reason(Some(default))?, &acting).await?)
    }
}

impl Which {
    fn filter(self, ids: Vec<Uuid>) -> EventFilter {
        let state = self.state.map(|state| match state {
            State::Pending => "pending",
            State::Delivered => "delivered",
            State::Failed => "failed",
            State::None => "none",
        });
        EventFilter {
            ids,
            subscription_id: self.subscription,
            state: state.map(str::to_owned),
            since: self.since,
            until: self.until,
        }
    }
}

/// Newest first.
#[derive(Debug, Serialize)]
pub struct Events {
    pub endpoint: WebhookEndpoint,
    pub events: Vec<EventRow>,
}

#[derive(Debug, Serialize)]
pub struct EventHistory {
    pub event: EventRow,
    pub jobs: Vec<JobView>,
}

#[derive(Debug, Serialize)]
pub struct Replayed {
    pub replayed: usize,
}

/// Where events go now.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct EndpointState(pub WebhookEndpoint);

pub async fn list(conn: &mut PgConnection, filter: &EventFilter, limit: u16) -> Result<Events, OpsError> {
    let events = webhook_deliveries::list(conn, filter, limit.into()).await?;
    Ok(Events { endpoint: webhook_deliveries::endpoint(conn).await?, events })
}

pub async fn show(conn: &mut PgConnection, id: Uuid) -> Result<EventHistory, OpsError> {
    let filter = EventFilter { ids: vec![id], ..EventFilter::default() };
    let event = webhook_deliveries::list(conn, &filter, 1).await?.pop();
    let event = event.ok_or_else(|| OpsError::NotFound(format!("there is no event {}", event_ref(id))))?;
    let wanted = JobsWanted {
        kind: Some("deliver-event".to_owned()),
        subscription: Some(event.subscription_id),
        limit: u16::MAX,
        ..JobsWanted::default()
    };
    let mut jobs = jobs::list(conn, &wanted).await?.0;
    jobs.retain(|job| job.subject.get("event").and_then(serde_json::Value::as_str) == Some(&event_ref(id)));
    jobs.reverse();
    Ok(EventHistory { event, jobs })
}

/// Each event that the filter names and that does not wait is delivered again under its old id, oldest first, before later
/// ones of its subscription that still wait. Event by event: cut off, what was begun goes on, and asking again does the rest.
pub async fn replay(
    conn: &mut PgConnection,
    filter: &EventFilter,
    reason: &Reason,
    acting: &Acting,
) -> Result<Replayed, OpsError> {
    let EventFilter { ids, subscription_id, state, since, until } = filter;
    let says_which =
        !ids.is_empty() || subscription_id.is_some() || state.is_some() || since.is_some() || until.is_some();
    if !says_which {
        return Err(OpsError::Usage(
            "say which: ids, --subscription, --state, --since or --until".to_owned(),
        ));
    }
    let stand = webhook_deliveries::endpoint(conn).await?;
    if !stand.enabled {
        let why = stand.why.unwrap_or_else(|| "no worker has had a WEBHOOK_URL".to_owned());
        let line = format!("delivery is off ({why}): set WEBHOOK_URL, or `billing events on` first");
        return Err(OpsError::Refused(line));
    }
    let mut replayed = 0_usize;
    for id in webhook_deliveries::settled(conn, filter).await? {
        match acting.perform(conn, &Action::ReplayEvent(id), reason).await {
            Ok(_) => replayed = replayed.saturating_add(1),
            // Somebody else has had it delivered again meanwhile.
            Err(OpsError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Replayed { replayed })
}

/// Turns delivery on or off and keeps who did it, when and why.
pub async fn switch(
    conn: &mut PgConnection,
    on: bool,
    reason: &Reason,
    acting: &Acting,
) -> Result<EndpointState, OpsError> {
    acting.perform(conn, &Action::SwitchEvents { on }, reason).await?;
    Ok(EndpointState(webhook_deliveries::endpoint(conn).await?))
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(f, &self.endpoint)?;
        let mut table = Table::new(&[
            "ID",
            "TYPE",
            "SUBSCRIPTION",
            "WRITTEN (SEOUL)",
            "STATE",
            "TRIES",
            "NEXT TRY",
            "WHY",
        ]);
        for event in &self.events {
            table.row([
                event_ref(event.id),
                event.kind.clone(),
                subscription_ref(event.subscription_id),
                seoul(event.created_at),
                event.state.clone(),
                event.tries.to_string(),
                seoul_or_dash(event.next_try_at),
                event.last_error.clone().unwrap_or_default(),
            ]);
        }
        write!(f, "{table}")
    }
}

fn write_endpoint(f: &mut fmt::Formatter<'_>, webhook: &WebhookEndpoint) -> fmt::Result {
    let endpoint = webhook.endpoint.as_deref().map_or_else(|| "nowhere".to_owned(), plain);
    if webhook.enabled {
        writeln!(f, "events go to {endpoint}")
    } else {
        let why = webhook.why.as_deref().unwrap_or("no worker has had a WEBHOOK_URL");
        writeln!(f, "events are OFF ({endpoint}) since {}: {}", seoul_or_dash(webhook.since), plain(why))
    }
}

impl fmt::Display for EventHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = &self.event;
        writeln!(f, "event         {}", event_ref(event.id))?;
        writeln!(f, "type          {}", event.kind)?;
        writeln!(f, "subscription  {}", subscription_ref(event.subscription_id))?;
        writeln!(f, "state         {}, {} tries", event.state, event.tries)?;
        writeln!(f, "written       {} (all times in Seoul)", seoul(event.created_at))?;
        writeln!(f, "last try      {}", seoul_or_dash(event.last_tried_at))?;
        writeln!(f, "next try      {}", seoul_or_dash(event.next_try_at))?;
        if let Some(error) = &event.last_error {
            writeln!(f, "last error    {}", plain(error))?;
        }
        writeln!(f, "\n{}\n\nJOBS\n{}", plain(&event.body), JobList::table(&self.jobs))
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} events are delivered again", self.replayed)
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(f, &self.0)?;
        if self.0.enabled {
            writeln!(f, "what was recorded meanwhile: billing events replay --state none")?;
        }
        Ok(())
    }
}
