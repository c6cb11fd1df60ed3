//! The words of `billing plans`.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use common::domain::money::Won;
use uuid::Uuid;

use super::won;

#[derive(Debug, Subcommand)]
pub(crate) enum Plans {
    /// All plans with their prices
    #[command(after_help = "Example:\n  billing plans list --json")]
    List,
    /// Make a plan or change it; running subscriptions keep their price
    #[command(after_help = "Examples:
  billing plans set team --name 팀 --monthly 49900 --yearly 478800
  billing plans set pro --monthly 21900")]
    Set {
        /// 1 to 50 of a-z, 0-9, _ and -
        code: String,
        #[arg(long)]
        name: Option<String>,
        /// Won per month, at least 100
        #[arg(long, value_name = "WON", value_parser = won)]
        monthly: Option<Won>,
        /// Won per year, at least 100
        #[arg(long, value_name = "WON", value_parser = won)]
        yearly: Option<Won>,
    },
    /// Announce a new price for running subscriptions, too: each follows at its first renewal on the date or later
    ///
    /// New subscribers pay it from now on. Who would pay more is asked 30 and 7 days before; without consent the
    /// subscription ends with what is paid, and is not charged.
    #[command(after_help = "Examples:
  billing plans reprice personal --monthly 12900 --from 2027-02-01 --reason 'higher costs' --dry-run
  billing plans reprice personal --monthly 12900 --yearly 118800 --from 2027-02-01 --reason 'higher costs'
  billing plans reprice personal --monthly 12900 --was 7900 --from 2027-02-01 --reason 'prices of the old system end'")]
    Reprice(Reprice),
    /// All price changes, newest first, and how far each has come
    #[command(after_help = "Example:\n  billing plans price-changes")]
    PriceChanges,
    /// What each customer has answered to a price change
    #[command(after_help = "Example:\n  billing plans consents 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --json")]
    Consents { id: Uuid },
    /// Take a price change back before its date
    #[command(after_help = "Example:
  billing plans withdraw 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'announced by mistake'")]
    Withdraw {
        id: Uuid,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Reprice {
    pub(crate) code: String,
    /// The new price, won per month
    #[arg(long, value_name = "WON", value_parser = won)]
    pub(crate) monthly: Option<Won>,
    /// The new price, won per year
    #[arg(long, value_name = "WON", value_parser = won)]
    pub(crate) yearly: Option<Won>,
    /// For those who pay exactly this, not the plan's price; brings them to the plan's price
    #[arg(long, value_name = "WON", value_parser = won)]
    pub(crate) was: Option<Won>,
    /// Civil date in Seoul; at least 31 days ahead where anybody would pay more
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) from: NaiveDate,
    /// For whoever reads it later
    #[arg(long)]
    pub(crate) reason: String,
    /// Announce nothing: say whom it would reach, and when
    #[arg(long)]
    pub(crate) dry_run: bool,
}
