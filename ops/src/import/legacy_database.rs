//! A database with the guide's own schema as rows.

use common::store::{self, StoreError, legacy_database as source};
use secrecy::{ExposeSecret, SecretString};

use super::rows::{Place, Row, Rows, column};
use crate::{OpsError, session};

/// Reads `subscriptions` and `users` of the database at `url`, as of one instant.
pub async fn read_database(url: &SecretString) -> Result<Rows, OpsError> {
    let options = store::address(url.expose_secret())
        .ok_or_else(|| OpsError::Usage(format!("--from is wrong: {}", session::DATABASE_URL_EXAMPLE)))?;
    let place = format!("{}/{}", options.get_host(), options.get_database().unwrap_or_default());
    let mut conn = session::connect(&options).await?;
    if source::is_ours(&mut conn).await? {
        let why = "is a database of this program, not one with the guide's schema";
        return Err(OpsError::Refused(format!("{place} {why}")));
    }
    let read = source::subscriptions(&mut conn).await.map_err(|error| strange(&place, &error))?;
    let columns: Vec<_> = source::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let all = read.into_iter().map(row).collect();
    Ok(Rows { source: place, columns, all, broken: Vec::new() })
}

fn row(values: Vec<Option<String>>) -> Row {
    let id = values.first().cloned().flatten().unwrap_or_default();
    let named = source::COLUMNS.iter().zip(values);
    let values = named.filter_map(|(name, value)| Some((column(name)?, value?))).collect();
    Row { place: Place::Id(id), values }
}

fn strange(place: &str, error: &StoreError) -> OpsError {
    OpsError::Refused(format!(
        "{place} cannot be read as the guide's schema (subscriptions, and users with id, email and name): {error}"
    ))
}
