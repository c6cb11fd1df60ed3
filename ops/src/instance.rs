//! `billing instance`: which installation the database is bound to. A copy neither charges nor mails until an operator
//! releases it.

use std::fmt;

use clap::Subcommand;
use common::{domain::action::Target, store::gate};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::OpsError;
use crate::action::{Author, ReasonOption};
use crate::session::Session;
use crate::text::plain;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The installation it is bound to
    #[command(after_help = "Example:\n  billing instance show")]
    Show,
    /// Re-arm a copied or moved database: the next worker with an `INSTANCE_ID` takes it
    #[command(after_help = "Example:\n  billing instance release")]
    Release {
        #[command(flatten)]
        reason: ReasonOption,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        match self {
            Self::Show => session.print(&show(&mut conn).await?),
            Self::Release { reason } => {
                let author = session.author(reason.reason.as_deref(), "released at the command line", now)?;
                session.print(&release(&mut conn, &author).await?)
            }
        }
    }
}

/// The installation that may charge and mail from this database.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// `INSTANCE_ID` of the bound installation; none while no worker with one has charged.
    pub instance: Option<String>,
    /// Fingerprint of the merchant's secret key.
    pub merchant: Option<String>,
}

pub async fn show(conn: &mut PgConnection) -> Result<Binding, OpsError> {
    let (instance, merchant) =
        gate::read(conn).await?.bound_to.map(|bound| (bound.id, bound.merchant)).unzip();
    Ok(Binding { instance, merchant })
}

/// Re-arms a copied database: it belongs to the installation whose worker asks next.
pub async fn release(conn: &mut PgConnection, author: &Author) -> Result<Binding, OpsError> {
    let mut tx = conn.begin().await?;
    let unbind = async |tx: &mut PgConnection| Ok(gate::unbind(tx).await?);
    author.change(&mut tx, ("instance.release", Target::Switch("instance")), unbind).await?;
    tx.commit().await?;
    show(conn).await
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.instance, &self.merchant) {
            (Some(instance), Some(merchant)) => {
                writeln!(f, "bound to {} (merchant {})", plain(instance), plain(merchant))
            }
            _ => writeln!(f, "bound to no installation: the next worker with an INSTANCE_ID takes it"),
        }
    }
}
