//! `billing migrate`: creates or upgrades the schema, as its ordinary owner.

use std::fmt;

use common::store;
use serde::Serialize;
use sqlx::PgPool;

use crate::OpsError;

#[derive(Debug, Serialize)]
pub struct Migrated {
    pub applied: Vec<Step>,
}

#[derive(Debug, Serialize)]
pub struct Step {
    pub version: i64,
    pub description: String,
}

/// Answers the steps that were taken; none when the schema was up to date.
pub async fn migrate(pool: &PgPool) -> Result<Migrated, OpsError> {
    let pending = store::pending_migrations(pool).await?;
    store::migrate(pool).await?;
    let applied = pending.into_iter().map(|(version, description)| Step { version, description }).collect();
    Ok(Migrated { applied })
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.applied.is_empty() {
            return writeln!(f, "the schema is up to date; nothing to apply");
        }
        self.applied
            .iter()
            .try_for_each(|step| writeln!(f, "applied {:04} {}", step.version, step.description))
    }
}
