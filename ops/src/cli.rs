//! The command line: every subcommand of `billing`, and what runs it.

use clap::{Parser, Subcommand};

use crate::session::Session;
use crate::{
    OpsError, actions, bulk, calendar, charging, clock, config, customer, doctor, emails, events,
    healthcheck, import, instance, invoices, jobs, migrate, operator, payments, plans, reconcile, scan,
    subscription,
};

/// Operates the billing system: schema, plans, operators, jobs, subscriptions, scans and the test clock.
///
/// Needs the variable `DATABASE_URL`. Exit codes: 0 done, 1 failed or not found, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "billing", after_help = EXAMPLES)]
pub struct Cli {
    /// Print JSON instead of a table; a failure is then `{"error":{"code","message"}}` on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Who you are, for the audit log; default: the user of the operating system
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub actor: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  billing migrate
  billing jobs list --state failed
  billing subscription show sub_0192f0c1a2b37c4d8e5f60718293a4b5
  billing scan --dry-run --json";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or upgrade the schema; prints what was applied
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://billing@localhost/billing billing migrate")]
    Migrate,
    /// Plans and their prices, and new prices for running subscriptions
    #[command(subcommand)]
    Plans(plans::Command),
    /// The operators
    #[command(subcommand)]
    Operator(operator::Command),
    /// The job table: list, show, retry, snooze, discard
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Payments: look up an unknown one, say what became of one in review, give money back
    #[command(subcommand)]
    Payments(payments::Command),
    /// One action on everything that matches a filter
    #[command(subcommand)]
    Bulk(bulk::Command),
    /// The audit log of operators
    #[command(subcommand)]
    Actions(actions::Command),
    /// One subscription: its history, the switch over its charges, its end
    #[command(subcommand)]
    Subscription(subscription::Command),
    /// Erase a customer who asks for it
    #[command(subcommand)]
    Customer(customer::Command),
    /// What was written to customers, and sending it again
    #[command(subcommand)]
    Emails(emails::Command),
    /// The switch over all charges
    #[command(subcommand)]
    Charging(charging::Command),
    /// Which installation may charge from this database
    #[command(subcommand)]
    Instance(instance::Command),
    /// What was collected on each day of a month, and what is to be
    Calendar(calendar::Command),
    /// Start the daily scan, or list what it would charge
    Scan(scan::Command),
    /// Compare Toss's transactions with ours, and list the discrepancies
    Reconcile(reconcile::Command),
    /// Outgoing events of the merchant's application and their deliveries
    #[command(subcommand)]
    Events(events::Command),
    /// Older unpaid periods on hold after an outage
    #[command(subcommand)]
    Invoices(invoices::Command),
    /// Bring the subscriptions of another system over, with their billing keys
    Import(Box<import::ImportRequest>),
    /// Look at everything, and say how to mend what is wrong; exit 1 where a fault was found
    #[command(
        after_help = "Examples:\n  billing doctor\n  billing doctor --json | jq '.findings[] | select(.level != \"ok\")'"
    )]
    Doctor,
    /// The variables of the API and the worker
    #[command(subcommand)]
    Config(config::Command),
    Healthcheck(healthcheck::HealthcheckRequest),
    /// The test clock of all processes; refused with live keys
    #[command(subcommand)]
    Clock(clock::Command),
}

impl Command {
    /// Runs the command and returns what is to be printed.
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        match self {
            Self::Migrate => migrate::run(session).await,
            Self::Plans(command) => command.run(session).await,
            Self::Operator(command) => command.run(session).await,
            Self::Jobs(command) => command.run(session).await,
            Self::Payments(command) => command.run(session).await,
            Self::Bulk(command) => command.run(session).await,
            Self::Actions(command) => command.run(session).await,
            Self::Subscription(command) => command.run(session).await,
            Self::Customer(command) => command.run(session).await,
            Self::Emails(command) => command.run(session).await,
            Self::Charging(command) => command.run(session).await,
            Self::Instance(command) => command.run(session).await,
            Self::Calendar(command) => command.run(session).await,
            Self::Scan(command) => command.run(session).await,
            Self::Reconcile(command) => command.run(session).await,
            Self::Events(command) => command.run(session).await,
            Self::Invoices(command) => command.run(session).await,
            Self::Import(request) => request.run(session).await,
            Self::Doctor => doctor::run(session).await,
            Self::Config(command) => command.run(session).await,
            Self::Healthcheck(request) => request.run(session).await,
            Self::Clock(command) => command.run(session).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_has_an_example() {
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
