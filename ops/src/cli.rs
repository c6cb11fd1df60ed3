//! The words of the command line: every subcommand, its options and examples.

mod clock;
mod customer;
mod events;
mod import;
mod plans;
mod subscription;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use common::{domain::money::Won, queue::JobState};
use secrecy::SecretString;
use uuid::Uuid;

pub(crate) use clock::Clock;
pub(crate) use customer::Customer;
pub(crate) use events::{Events, State, Which};
pub(crate) use import::Import;
pub(crate) use plans::{Plans, Reprice};
pub(crate) use subscription::Subscription;

/// Operates the billing system: schema, plans, operators, jobs, subscriptions, scans and the test clock.
///
/// Needs the variable `DATABASE_URL`. Exit codes: 0 done, 1 failed or not found, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "billing", after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Print JSON instead of a table; a failure is then `{"error":{"code","message"}}` on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who you are, for the entries this leaves behind; default: the user of the operating system
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  billing migrate
  billing jobs list --state failed
  billing subscription show sub_0192f0c1a2b37c4d8e5f60718293a4b5
  billing scan --dry-run --json";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create or upgrade the schema; prints what was applied
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://billing@localhost/billing billing migrate")]
    Migrate,
    /// What is sold, for how much, and new prices for those who pay an old one
    #[command(subcommand)]
    Plans(Plans),
    /// Who may refund
    #[command(subcommand)]
    Operator(Operator),
    /// The job table: list, show, retry, discard
    #[command(subcommand)]
    Jobs(Jobs),
    /// One subscription: its story, the switch over its charges, its end
    #[command(subcommand)]
    Subscription(Subscription),
    /// Erase a customer who asks for it
    #[command(subcommand)]
    Customer(Customer),
    /// The switch over all charges
    #[command(subcommand)]
    Charging(Charging),
    /// Which installation may charge from this database
    #[command(subcommand)]
    Instance(Instance),
    /// Ask for the daily scan, or see what it would charge
    #[command(after_help = "Examples:\n  billing scan\n  billing scan --date 2027-01-31 --dry-run")]
    Scan {
        /// Civil date in Seoul; default: today
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<NaiveDate>,
        /// Only list what would be charged, with totals; any date
        #[arg(long)]
        dry_run: bool,
    },
    /// Compare Toss's books with ours, and show where they differ
    #[command(after_help = "Examples:
  billing reconcile
  billing reconcile --date 2027-01-31 --json
  billing reconcile --open
  billing reconcile --accept 01a204b5-3c45-70da-b6fa-ed7e91d0009e --reason 'sold in the shop, not here'")]
    Reconcile(Reconcile),
    /// What the merchant's application is told, and has been told
    #[command(subcommand)]
    Events(Events),
    /// Older unpaid periods after an outage, which wait for an operator
    #[command(subcommand)]
    Invoices(Invoices),
    /// Bring the subscriptions of another system over, with their billing keys
    Import(Box<Import>),
    /// The test clock of all processes; refused with live keys
    #[command(subcommand)]
    Clock(Clock),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Make an operator, or give a known one a new token; it is printed once
    #[command(after_help = "Example:\n  billing operator add --email kim@example.com")]
    Add {
        #[arg(long)]
        email: String,
        /// Use this token instead of a random one: at least 32 characters
        #[arg(long)]
        token: Option<SecretString>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Tries, newest first
    #[command(after_help = "Examples:
  billing jobs list --state failed
  billing jobs list --attention
  billing jobs list --kind charge-subscription --subscription sub_0192f0c1a2b37c4d8e5f60718293a4b5")]
    List {
        /// available, running, done, failed, discarded or parked
        #[arg(long, value_parser = job_state)]
        state: Option<JobState>,
        /// E.g. charge-subscription, send-email
        #[arg(long)]
        kind: Option<String>,
        /// sub_… or a UUID
        #[arg(long, value_name = "ID", value_parser = ops::subscription::parse_id)]
        subscription: Option<Uuid>,
        /// Only what a person has to move on: parked, or failed with no next try
        #[arg(long)]
        attention: bool,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
        limit: u16,
    },
    /// All tries of a job with their errors, and what comes next
    #[command(after_help = "Example:\n  billing jobs show 4711")]
    Show { id: i64 },
    /// Have a job tried now, whatever its waiting time or tries were
    #[command(after_help = "Example:\n  billing jobs retry 4711 --as kim@example.com")]
    Retry { id: i64 },
    /// Take a waiting, parked or failed job off the table for good
    #[command(after_help = "Example:\n  billing jobs discard 4711 --reason 'the customer has no mailbox'")]
    Discard {
        id: i64,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Charging {
    /// New charges may be made
    #[command(after_help = "Example:\n  billing charging on --reason 'the bank is back'")]
    On {
        #[arg(long, default_value = "switched on by an operator")]
        reason: String,
    },
    /// No new charge begins, anywhere; what is in flight is still looked up
    #[command(after_help = "Example:\n  billing charging off --reason 'wrong prices'")]
    Off {
        #[arg(long, default_value = "switched off by an operator")]
        reason: String,
    },
    /// How the switch stands, and who turned it
    #[command(after_help = "Example:\n  billing charging status")]
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Instance {
    /// The installation it is bound to
    #[command(after_help = "Example:\n  billing instance show")]
    Show,
    /// Re-arm a copied or moved database: the next worker with an `INSTANCE_ID` takes it
    #[command(after_help = "Example:\n  billing instance release")]
    Release,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Invoices {
    /// The invoices that wait, oldest period first
    #[command(after_help = "Example:\n  billing invoices held")]
    Held,
    /// Charge a held invoice now
    #[command(after_help = "Example:\n  billing invoices charge 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    Charge { id: Uuid },
    /// Close a held invoice as void
    #[command(after_help = "Example:
  billing invoices forgive 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'our outage'")]
    Forgive {
        id: Uuid,
        #[arg(long)]
        reason: String,
    },
}

fn won(text: &str) -> Result<Won, String> {
    let whole: i64 = text.parse().map_err(|_| "write whole won, digits only".to_owned())?;
    Won::new(whole).map_err(|error| error.to_string())
}

fn job_state(text: &str) -> Result<JobState, String> {
    let states = "available, running, done, failed, discarded, parked";
    JobState::parse(text).ok_or_else(|| format!("one of {states}"))
}

#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Civil date in Seoul; default: yesterday, and today as far as it has come
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<NaiveDate>,
    /// Compare nothing: list the open discrepancies of all days
    #[arg(long, conflicts_with = "date")]
    pub(crate) open: bool,
    /// Compare nothing: leave an open discrepancy as it is, without further alarms, unless its amounts change
    #[arg(long, value_name = "BREAK", conflicts_with_all = ["date", "open"], requires = "reason")]
    pub(crate) accept: Option<Uuid>,
    /// Why it may stay
    #[arg(long, requires = "accept")]
    pub(crate) reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_fit_together_and_every_command_has_an_example() {
        fn check(command: &clap::Command) {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_leaf = command.get_subcommands().next().is_none();
            assert!(!is_leaf || examples.contains("billing "), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        Cli::command().debug_assert();
        check(&Cli::command());
    }
}
