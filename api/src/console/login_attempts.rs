//! Counts failed logins per account and per address, and refuses further ones for a while.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use common::domain::operator::LoginSubject;
use common::store::{StoreError, login_failures};

use super::failure::ConsoleError;
use crate::app::App;

/// The two counts that a login touches.
pub(super) struct Attempt {
    account: String,
    address: Option<String>,
}

impl Attempt {
    pub(super) fn new(email: &str, address: Option<IpAddr>) -> Self {
        Self { account: format!("account:{email}"), address: address.map(|ip| format!("address:{ip}")) }
    }

    /// Counts the attempt as failed before its password is looked at, so that many at once do not slip through. Answers
    /// until when logins are refused, where they are.
    pub(super) async fn begin(&self, app: &App) -> Result<Option<DateTime<Utc>>, ConsoleError> {
        // Always in this order: two attempts wait for each other, and never for ever.
        let address = self.address.as_deref().map(|address| (address, LoginSubject::Address));
        let subjects = address.into_iter().chain([(self.account.as_str(), LoginSubject::Account)]);
        let locked = app.transaction::<_, StoreError>(async |tx| {
            let mut counted = Vec::new();
            for (subject, kind) in subjects {
                let (failures, now) = login_failures::lock(tx, subject).await?;
                if let Some(until) = failures.locked_until(now) {
                    return Ok(Some(until));
                }
                counted.push((subject, failures.after_failure(kind, now)));
            }
            for (subject, failures) in counted {
                login_failures::write(tx, subject, &failures).await?;
            }
            Ok(None)
        });
        Ok(locked.await?)
    }

    /// The password was right: neither the account nor the address counts what failed before.
    pub(super) async fn succeeded(&self, conn: &mut sqlx::PgConnection) -> Result<(), StoreError> {
        for subject in self.address.iter().chain([&self.account]) {
            login_failures::forget(conn, subject).await?;
        }
        Ok(())
    }
}
