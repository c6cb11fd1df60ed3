//! `billing migrate`: creates or upgrades the schema, as its ordinary owner.

use std::fmt;

use common::store;
use serde::Serialize;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{OpsError, session::Session};

pub(crate) async fn run(session: &Session) -> Result<String, OpsError> {
    let options = session.database()?;
    // A clear error for a database that is away comes from the same place as everywhere.
    crate::session::connect(&options).await?;
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    session.print(&migrate(&pool).await?)
}

#[derive(Debug, Serialize)]
pub struct Migrated {
    pub applied: Vec<Migration>,
}

#[derive(Debug, Serialize)]
pub struct Migration {
    pub version: i64,
    pub description: String,
}

/// Returns the migrations that were applied; none when the schema was up to date.
pub async fn migrate(pool: &PgPool) -> Result<Migrated, OpsError> {
    let pending = store::pending_migrations(pool).await?;
    store::migrate(pool).await?;
    let applied =
        pending.into_iter().map(|(version, description)| Migration { version, description }).collect();
    Ok(Migrated { applied })
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.applied.is_empty() {
            return writeln!(f, "the schema is up to date; nothing to apply");
        }
        self.applied.iter().try_for_each(|migration| {
            writeln!(f, "applied {:04} {}", migration.version, migration.description)
        })
    }
}
