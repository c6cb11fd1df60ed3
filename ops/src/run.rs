//! From the words of the command line to the command, and from its answer to text.

use std::fmt::Display;

use ops::{
    OpsError, charging, clock, customer, end, import, instance, invoices,
    jobs::{self, JobsWanted},
    migrate, moment, operator, reconcile, scan,
    settings::Settings,
    subscription,
};
use serde::Serialize;
use sqlx::{PgConnection, postgres::PgPoolOptions};

mod outgoing;
mod plans;

use crate::cli;

/// What a command needs beside its own words.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) actor: String,
    pub(crate) json: bool,
}

impl Session {
    /// Runs the command and answers what is to be printed.
    pub(crate) async fn run(&self, command: cli::Command) -> Result<String, OpsError> {
        let mut connection = self.settings.connect().await?;
        let conn = &mut connection;
        match command {
            cli::Command::Migrate => self.migrate().await,
            cli::Command::Plans(command) => self.plans(conn, command).await,
            cli::Command::Operator(cli::Operator::Add { email, token }) => {
                let now = moment::now(conn).await?;
                self.text(&operator::add(conn, &email, token, now).await?)
            }
            cli::Command::Jobs(command) => self.jobs(conn, command).await,
            cli::Command::Subscription(command) => self.subscription(conn, command).await,
            cli::Command::Customer(cli::Customer::Erase { who, dry_run }) => {
                let now = moment::now(conn).await?;
                self.text(&customer::erase(conn, &who, dry_run, &self.actor, now).await?)
            }
            cli::Command::Charging(command) => self.charging(conn, command).await,
            cli::Command::Instance(cli::Instance::Show) => self.text(&instance::show(conn).await?),
            cli::Command::Instance(cli::Instance::Release) => self.text(&instance::release(conn).await?),
            cli::Command::Scan { date, dry_run: true } => {
                let now = moment::now(conn).await?;
                self.text(&scan::dry_run(conn, date, now).await?)
            }
            cli::Command::Scan { date, dry_run: false } => {
                let now = moment::now(conn).await?;
                self.text(&scan::run(conn, date, now).await?)
            }
            cli::Command::Reconcile(command) => self.reconcile(conn, command).await,
            cli::Command::Events(command) => self.events(conn, command).await,
            cli::Command::Invoices(command) => self.invoices(conn, command).await,
            cli::Command::Import(command) => self.import(conn, *command).await,
            cli::Command::Clock(command) => self.clock(conn, command).await,
        }
    }

    fn text<T: Serialize + Display>(&self, answer: &T) -> Result<String, OpsError> {
        if self.json { Ok(serde_json::to_string_pretty(answer)? + "\n") } else { Ok(answer.to_string()) }
    }

    async fn migrate(&self) -> Result<String, OpsError> {
        let options = self.settings.database.clone();
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        self.text(&migrate::migrate(&pool).await?)
    }

    async fn jobs(&self, conn: &mut PgConnection, command: cli::Jobs) -> Result<String, OpsError> {
        let now = moment::now(conn).await?;
        match command {
            cli::Jobs::List { state, kind, subscription, attention, limit } => {
                let wanted = JobsWanted { state, kind, subscription, attention, limit };
                self.text(&jobs::list(conn, &wanted).await?)
            }
            cli::Jobs::Show { id } => self.text(&jobs::show(conn, id).await?),
            cli::Jobs::Retry { id } => self.text(&jobs::retry(conn, id, &self.actor, now).await?),
            cli::Jobs::Discard { id, reason } => {
                self.text(&jobs::discard(conn, id, &reason, &self.actor, now).await?)
            }
        }
    }

    async fn subscription(
        &self,
        conn: &mut PgConnection,
        command: cli::Subscription,
    ) -> Result<String, OpsError> {
        let now = moment::now(conn).await?;
        match command {
            cli::Subscription::Show { id } => self.text(&subscription::show(conn, id, now).await?),
            cli::Subscription::Pause { id, reason } => {
                self.text(&charging::pause(conn, id, &reason, &self.actor, now).await?)
            }
            cli::Subscription::End { id, refund, reason } => {
                let brand = self.settings.brand()?;
                self.text(&end::end(conn, brand, id, (refund, &reason), &self.actor, now).await?)
            }
            cli::Subscription::ResumeCharging { id, reason } => {
                self.text(&charging::resume(conn, id, &reason, &self.actor, now).await?)
            }
        }
    }

    async fn charging(&self, conn: &mut PgConnection, command: cli::Charging) -> Result<String, OpsError> {
        let (enabled, reason) = match command {
            cli::Charging::Status => return self.text(&charging::status(conn).await?),
            cli::Charging::On { reason } => (true, reason),
            cli::Charging::Off { reason } => (false, reason),
        };
        let now = moment::now(conn).await?;
        self.text(&charging::switch(conn, enabled, &reason, &self.actor, now).await?)
    }

    async fn reconcile(&self, conn: &mut PgConnection, command: cli::Reconcile) -> Result<String, OpsError> {
        let now = moment::now(conn).await?;
        match command {
            cli::Reconcile { accept: Some(id), reason, .. } => {
                let reason = reason.unwrap_or_default();
                self.text(&reconcile::accept(conn, id, &reason, &self.actor, now).await?)
            }
            cli::Reconcile { open: true, .. } => self.text(&reconcile::open(conn).await?),
            cli::Reconcile { date, .. } => {
                self.text(&reconcile::run(conn, date, reconcile::PATIENCE, now).await?)
            }
        }
    }

    async fn invoices(&self, conn: &mut PgConnection, command: cli::Invoices) -> Result<String, OpsError> {
        let now = moment::now(conn).await?;
        match command {
            cli::Invoices::Held => self.text(&invoices::held(conn).await?),
            cli::Invoices::Charge { id } => self.text(&invoices::charge(conn, id, &self.actor, now).await?),
            cli::Invoices::Forgive { id, reason } => {
                self.text(&invoices::forgive(conn, id, &reason, &self.actor, now).await?)
            }
        }
    }

    async fn import(&self, conn: &mut PgConnection, command: cli::Import) -> Result<String, OpsError> {
        let sealer = self.settings.sealer()?;
        let rows = match (&command.file, &command.from) {
            (Some(file), _) => import::read_csv(file)?,
            (None, Some(url)) => import::read_database(url).await?,
            (None, None) => return Err(OpsError::Usage("name a file, or a database with --from".to_owned())),
        };
        let now = moment::now(conn).await?;
        let report = import::run(conn, rows, command.wish(), &sealer, &self.actor, now).await?;
        let text = self.text(&report)?;
        if report.mistakes.is_empty() { Ok(text) } else { Err(OpsError::Rows(text)) }
    }

    async fn clock(&self, conn: &mut PgConnection, command: cli::Clock) -> Result<String, OpsError> {
        let stand = match command {
            cli::Clock::Now => clock::now(conn).await?,
            cli::Clock::Advance { span } => {
                self.settings.refuse_live_keys()?;
                clock::advance(conn, span).await?
            }
            cli::Clock::Set { to } => {
                self.settings.refuse_live_keys()?;
                clock::set(conn, to).await?
            }
        };
        self.text(&stand)
    }
}
