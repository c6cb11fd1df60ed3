//! What the command line needs of its surroundings: the database, and to know whether live keys are about.

use common::{
    config::{Mistakes, Vars, read_brand},
    mail::Brand,
    seal::Sealer,
    store,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use crate::OpsError;

const CONNECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
pub(crate) const EXAMPLE: &str = "postgres://user:password@host:5432/database";

const SEALING_KEYS: &str = "BILLING_KEY_ENCRYPTION_KEYS";

/// Not `Debug`: it holds the database's password.
#[derive(Clone)]
pub struct Settings {
    pub database: PgConnectOptions,
    /// Names of the variables that hold a live key of Toss.
    pub live_keys: Vec<String>,
    /// `BILLING_KEY_ENCRYPTION_KEYS`, which only the import needs.
    pub sealing_keys: Option<SecretString>,
    /// `BRAND_NAME` and `PUBLIC_URL`, which only what writes to customers needs; none where the address is wrong.
    pub brand: Option<Brand>,
}

impl Settings {
    pub fn read(given: Vec<(String, String)>) -> Result<Self, Mistakes> {
        let live_keys = live_keys(&given);
        let brand = read_brand(&mut Vars::new(given.clone()));
        let mut vars = Vars::new(given);
        let url = vars.required_secret("DATABASE_URL", EXAMPLE);
        let database = store::address(url.expose_secret());
        if database.is_none() && !url.expose_secret().is_empty() {
            vars.mistake(format!("DATABASE_URL is wrong: {EXAMPLE}"));
        }
        let sealing_keys = vars.optional_secret(SEALING_KEYS);
        vars.finish(Self { database: database.unwrap_or_default(), live_keys, sealing_keys, brand })
    }

    pub async fn connect(&self) -> Result<PgConnection, OpsError> {
        connect(&self.database).await
    }

    /// What seals the billing keys that an import brings.
    pub fn sealer(&self) -> Result<Sealer, OpsError> {
        let keys = self.sealing_keys.as_ref().ok_or_else(|| {
            OpsError::Usage(format!("{SEALING_KEYS} is not set: the import seals with the worker's keys"))
        })?;
        Sealer::parse(keys.expose_secret()).map_err(|error| OpsError::Usage(error.to_string()))
    }

    /// In whose name customers are written to.
    pub fn brand(&self) -> Result<&Brand, OpsError> {
        let wrong =
            || OpsError::Usage("PUBLIC_URL is wrong: the customers' site, http:// or https://".into());
        self.brand.as_ref().ok_or_else(wrong)
    }

    /// A clock that can be moved would charge real cards ahead of time.
    pub fn refuse_live_keys(&self) -> Result<(), OpsError> {
        if self.live_keys.is_empty() {
            return Ok(());
        }
        let names = self.live_keys.join(", ");
        Err(OpsError::Usage(format!("the clock moves with test keys only, and {names} holds a live one")))
    }
}

pub(crate) async fn connect(to: &PgConnectOptions) -> Result<PgConnection, OpsError> {
    let away = |why| OpsError::Away { place: format!("{}:{}", to.get_host(), to.get_port()), why };
    match tokio::time::timeout(CONNECT_WITHIN, PgConnection::connect_with(to)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(sqlx::Error::Io(error))) => Err(away(error.to_string())),
        Ok(Err(other)) => Err(away(other.to_string())),
        Err(_) => Err(away(format!("no connection within {} s", CONNECT_WITHIN.as_secs()))),
    }
}

fn live_keys(given: &[(String, String)]) -> Vec<String> {
    let is_live =
        |name: &str, value: &str| name.starts_with("TOSS_") && value.trim_start().starts_with("live_");
    given.iter().filter(|(name, value)| is_live(name, value)).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Settings, Mistakes> {
        Settings::read(given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn a_missing_and_a_wrong_address_are_told_by_the_name_of_the_variable() {
        for given in [&[][..], &[("DATABASE_URL", "")], &[("DATABASE_URL", "mysql://x/y")]] {
            let Mistakes(lines) = read(given).err().unwrap();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].starts_with("DATABASE_URL"), "{lines:?}");
        }
    }

    #[test]
    fn any_live_key_of_toss_stops_the_clock_and_test_keys_do_not() {
        let database = ("DATABASE_URL", "postgres://localhost/x");
        let test = read(&[database, ("TOSS_SECRET_KEY", "test_sk_x")]).unwrap();
        assert!(test.refuse_live_keys().is_ok());
        let live = read(&[database, ("TOSS_WIDGET_SECRET_KEY", "live_gsk_x")]).unwrap();
        let refusal = live.refuse_live_keys().unwrap_err();
        assert_eq!(refusal.exit_code(), 2);
        assert!(refusal.to_string().contains("TOSS_WIDGET_SECRET_KEY"));
        assert!(!refusal.to_string().contains("live_gsk_x"));
    }
}
