//! The merchants of the two Toss accounts, as this process knows them.

use std::sync::{Mutex, PoisonError};

use common::domain::breaker::GatewayAccount;

/// The merchants that this process has found on record. They stay the same until an operator releases the database.
#[derive(Debug, Default)]
pub(crate) struct KnownMerchants(Mutex<Vec<(GatewayAccount, String)>>);

impl KnownMerchants {
    pub(super) fn has(&self, account: GatewayAccount, merchant: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|(of, name)| *of == account && name == merchant)
    }

    pub(super) fn remember(&self, account: GatewayAccount, merchant: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _)| *of != account);
        known.push((account, merchant.to_owned()));
    }
}
