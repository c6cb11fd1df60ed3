//! What every command is given: the environment, who runs it, and how it prints its answer.

use std::{fmt::Display, net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use common::config::{Mistakes, Vars, read_brand};
use common::domain::actor::{Actor, Reason};
use common::email::Brand;
use common::seal::Sealer;
use common::store;
use secrecy::ExposeSecret;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::action::{Acting, Author, parse_reason};
use crate::{OpsError, text};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const SEALING_KEYS: &str = "BILLING_KEY_ENCRYPTION_KEYS";
/// What a database URL looks like.
pub(crate) const DATABASE_URL_EXAMPLE: &str = "postgres://user:password@host:5432/database";

/// Not `Debug`: the variables hold passwords.
pub struct Session {
    vars: Vec<(String, String)>,
    /// Who runs the command, for the audit log.
    pub actor: Actor,
    /// Print JSON instead of text.
    pub json: bool,
}

impl Session {
    /// Takes the whole environment; `actor_name` is the value of `--as`.
    pub fn new(vars: Vec<(String, String)>, actor_name: Option<&str>, json: bool) -> Self {
        let actor = actor(actor_name, |name| {
            vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        });
        Self { vars, actor, json }
    }

    /// The environment, for a command that checks it.
    pub(crate) fn vars(&self) -> Vars {
        Vars::new(self.vars.clone())
    }

    /// The environment as it was given.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.vars
    }

    /// The address in `DATABASE_URL`.
    pub(crate) fn database(&self) -> Result<PgConnectOptions, OpsError> {
        let mut vars = self.vars();
        let url = vars.required_secret("DATABASE_URL", DATABASE_URL_EXAMPLE);
        let address = store::address(url.expose_secret());
        if address.is_none() && !url.expose_secret().is_empty() {
            vars.mistake(format!("DATABASE_URL is wrong: {DATABASE_URL_EXAMPLE}"));
        }
        Ok(vars.finish(address.unwrap_or_default())?)
    }

    /// Opens the connection of this command.
    pub(crate) async fn connect(&self) -> Result<PgConnection, OpsError> {
        connect(&self.database()?).await
    }

    /// Opens the connection and reads the time of the system, which a test clock may have moved.
    pub(crate) async fn connect_now(&self) -> Result<(PgConnection, DateTime<Utc>), OpsError> {
        let mut conn = self.connect().await?;
        let now = crate::system_time::system_now(&mut conn).await?;
        Ok((conn, now))
    }

    /// What seals the billing keys that an import brings.
    pub(crate) fn sealer(&self) -> Result<Sealer, OpsError> {
        let keys = self.vars().optional_secret(SEALING_KEYS).ok_or_else(|| {
            OpsError::Usage(format!("{SEALING_KEYS} is not set: the import seals with the worker's keys"))
        })?;
        Sealer::parse(keys.expose_secret()).map_err(|error| OpsError::Usage(error.to_string()))
    }

    /// Who acts now, for the commands that are an operator's actions.
    pub(crate) fn acting(&self, now: DateTime<Utc>) -> Result<Acting, OpsError> {
        Ok(Acting { actor: self.actor.clone(), brand: self.brand()?, now })
    }

    /// Who makes a change now, for the commands that are no action. `default` stands where no reason is given.
    pub(crate) fn author(
        &self,
        reason: Option<&str>,
        default: &'static str,
        now: DateTime<Utc>,
    ) -> Result<Author, OpsError> {
        let reason = reason.map_or_else(|| Ok(Reason::of_program(default)), parse_reason)?;
        Ok(Author { actor: self.actor.clone(), reason, now })
    }

    /// In whose name customers are written to.
    pub(crate) fn brand(&self) -> Result<Brand, OpsError> {
        let wrong =
            || OpsError::Usage("PUBLIC_URL is wrong: the customers' site, http:// or https://".into());
        read_brand(&mut self.vars()).ok_or_else(wrong)
    }

    /// Fails when a live key of Toss is set: a clock that can be moved would charge real cards ahead of time.
    pub(crate) fn refuse_live_keys(&self) -> Result<(), OpsError> {
        let is_live =
            |name: &str, value: &str| name.starts_with("TOSS_") && value.trim_start().starts_with("live_");
        let live = self.vars.iter().filter(|(name, value)| is_live(name, value));
        let names: Vec<&str> = live.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let names = names.join(", ");
        Err(OpsError::Usage(format!("the clock moves with test keys only, and {names} holds a live one")))
    }

    /// The answer as it is printed. Text for people shows no character that could steer the terminal.
    pub(crate) fn print<T: Serialize + Display>(&self, answer: &T) -> Result<String, OpsError> {
        if self.json {
            Ok(serde_json::to_string_pretty(answer)? + "\n")
        } else {
            Ok(text::visible_lines(&answer.to_string()))
        }
    }
}

impl From<Mistakes> for OpsError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Configuration(mistakes)
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

/// The name given with `--as`, else that of the operating system's user.
fn actor(given: Option<&str>, from_env: impl Fn(&str) -> Option<String>) -> Actor {
    let user = from_env("USER").or_else(|| from_env("LOGNAME")).filter(|name| !name.trim().is_empty());
    // A container has no login, so it has no name either.
    let user = user.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    let name = given.filter(|name| !name.trim().is_empty()).unwrap_or(&user);
    // sshd sets `<address> <port> <port>`.
    let client = from_env("SSH_CLIENT").and_then(|client| client.split(' ').next()?.parse::<IpAddr>().ok());
    Actor::command_line(name, user.trim(), client.map(|address| address.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(given: &[(&str, &str)]) -> Session {
        Session::new(given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), None, false)
    }

    #[test]
    fn a_wrong_database_url_is_named_by_its_variable() {
        for given in [&[][..], &[("DATABASE_URL", "")], &[("DATABASE_URL", "mysql://x/y")]] {
            let error = session(given).database().unwrap_err();
            assert_eq!((error.exit_code(), error.code()), (2, "configuration"));
            assert!(error.to_string().contains("DATABASE_URL"), "{error}");
        }
    }

    #[test]
    fn any_live_key_of_toss_stops_the_clock() {
        assert!(session(&[("TOSS_SECRET_KEY", "test_sk_x")]).refuse_live_keys().is_ok());
        let refusal = session(&[("TOSS_WIDGET_SECRET_KEY", "live_gsk_x")]).refuse_live_keys().unwrap_err();
        assert_eq!(refusal.exit_code(), 2);
        assert!(refusal.to_string().contains("TOSS_WIDGET_SECRET_KEY"));
        assert!(!refusal.to_string().contains("live_gsk_x"));
    }

    #[test]
    fn the_given_name_comes_before_the_users_name() {
        let user = |name: &str| (name == "USER").then(|| "kim".to_owned());
        let given = actor(Some("lee@example.com"), user);
        assert_eq!((given.as_str(), given.os_user.as_deref()), ("operator:lee@example.com", Some("kim")));
        assert_eq!(actor(None, user).as_str(), "operator:kim");
        assert!(actor(None, |_| None).as_str().starts_with("operator:uid-"));
    }
}
