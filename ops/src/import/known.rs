//! What the database knows already: rows of earlier runs, and what stands in the way of new ones.

use std::collections::HashSet;

use common::{seal::Sealer, store::imports};
use sqlx::PgConnection;

use super::model::{Mistakes, New, Record};
use crate::OpsError;

/// Asked of the database at once.
const BATCH: usize = 5_000;

/// A key that the worker does not have seals cards for good.
pub(crate) async fn refuse_other_sealing_keys(
    conn: &mut PgConnection,
    sealer: &Sealer,
) -> Result<(), OpsError> {
    for (id, sealed) in imports::sealed_samples(conn).await? {
        if let Err(error) = sealer.open(&sealed, id) {
            let why = "BILLING_KEY_ENCRYPTION_KEYS is not the worker's, which sealed the cards that are here";
            return Err(OpsError::Usage(format!("{why}: {error}")));
        }
    }
    Ok(())
}

/// Ids of the source that an earlier run has brought.
pub(crate) async fn sources(
    conn: &mut PgConnection,
    records: &[Record],
) -> Result<HashSet<String>, OpsError> {
    let mut known = HashSet::new();
    for batch in records.chunks(BATCH) {
        let ids: Vec<_> = batch.iter().map(|record| record.source_id.clone()).collect();
        known.extend(imports::known(conn, &ids).await?);
    }
    Ok(known)
}

/// Notes rows whose subscription, user or billing key is here, but did not come from this source.
pub(crate) async fn find_conflicts(
    conn: &mut PgConnection,
    new: &[New],
    sealer: &Sealer,
    mistakes: &mut Mistakes,
) -> Result<(), OpsError> {
    for batch in new.chunks(BATCH) {
        let ids: Vec<_> = batch.iter().map(|row| row.record.id).collect();
        let users: Vec<_> = batch.iter().map(|row| row.record.user_id).collect();
        let keys: Vec<_> = batch.iter().map(|row| sealer.fingerprints(&row.record.billing_key)).collect();
        let ids: HashSet<_> = imports::taken_ids(conn, &ids).await?.into_iter().collect();
        let users: HashSet<_> = imports::subscribed_users(conn, &users).await?.into_iter().collect();
        let here: HashSet<_> = imports::registered_keys(conn, &keys.concat()).await?.into_iter().collect();
        for (New { record, .. }, keys) in batch.iter().zip(&keys) {
            if ids.contains(&record.id) {
                mistakes.add(&record.place, "id", "is that of a subscription here that was not imported");
            }
            if users.contains(&record.user_id) {
                mistakes.add(&record.place, "user_id", "has a subscription here already");
            }
            if keys.iter().any(|key| here.contains(key)) {
                mistakes.add(&record.place, "billing_key", "is that of a subscription here");
            }
        }
    }
    Ok(())
}
