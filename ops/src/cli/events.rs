//! The words of `billing events`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use common::id::parse_event_ref;
use uuid::Uuid;

use super::clock::instant;

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
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
    /// One event with its body and its tries
    #[command(after_help = "Example:\n  billing events show evt_0192f0c1a2b37c4d8e5f60718293a4b5")]
    Show {
        #[arg(value_parser = id)]
        id: Uuid,
    },
    /// Have events delivered again, under their old ids: some, a span of time, or all that failed
    #[command(after_help = "Examples:
  billing events replay evt_0192f0c1a2b37c4d8e5f60718293a4b5
  billing events replay --state failed
  billing events replay --since 2027-01-31T09:00:00+09:00 --until 2027-01-31T12:00:00+09:00")]
    Replay {
        #[arg(value_parser = id, value_name = "ID")]
        ids: Vec<Uuid>,
        #[command(flatten)]
        which: Which,
    },
    /// Deliver events again, after `off` or after the endpoint answered 410
    #[command(after_help = "Example:\n  billing events on --reason 'the endpoint is back'")]
    On {
        #[arg(long, default_value = "switched on by an operator")]
        reason: String,
    },
    /// Deliver no more: what happens from now on is kept unheard
    #[command(after_help = "Example:\n  billing events off --reason 'the endpoint moves'")]
    Off {
        #[arg(long, default_value = "switched off by an operator")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// sub_… or a UUID
    #[arg(long, value_name = "ID", value_parser = ops::subscription::parse_id)]
    pub(crate) subscription: Option<Uuid>,
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// Written at or after this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub(crate) since: Option<DateTime<Utc>>,
    /// Written before this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub(crate) until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// Waits for its next try or for an earlier event of its subscription
    Pending,
    Delivered,
    /// Given up
    Failed,
    /// Nobody listened
    Unheard,
}

impl State {
    pub(crate) fn word(self) -> String {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Unheard => "unheard",
        }
        .to_owned()
    }
}

fn id(text: &str) -> Result<Uuid, String> {
    parse_event_ref(text).ok_or_else(|| "write evt_ and 32 hexadecimal digits, or a UUID".to_owned())
}
