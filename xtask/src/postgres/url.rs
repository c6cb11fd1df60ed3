//! A PostgreSQL URL: the parts of it that commands and screens need.

use anyhow::{Context, ensure};
use percent_encoding::percent_decode_str;

/// `postgres://user:password@host:port/database?parameters`.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseUrl {
    scheme: String,
    user: String,
    password: Option<String>,
    host: String,
    database: String,
    parameters: String,
}

impl DatabaseUrl {
    pub(crate) fn parse(raw: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = raw.split_once("://").context("DATABASE_URL must begin with postgres://")?;
        ensure!(matches!(scheme, "postgres" | "postgresql"), "DATABASE_URL must begin with postgres://");
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            password,
            host: host.to_owned(),
            database: database.to_owned(),
            parameters: parameters.to_owned(),
        })
    }

    /// The same server and login, another database.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    /// The whole URL, for the environment of a child; never for a command line or a screen.
    pub(crate) fn secret(&self) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        self.write(&password)
    }

    /// The URL that may be shown.
    pub(crate) fn without_password(&self) -> String {
        self.write("")
    }

    /// The password as it was before it was written into a URL.
    pub(crate) fn password(&self) -> anyhow::Result<Option<String>> {
        let Some(password) = &self.password else { return Ok(None) };
        let decoded = percent_decode_str(password).decode_utf8().context("the password is not UTF-8")?;
        Ok(Some(decoded.into_owned()))
    }

    fn write(&self, password: &str) -> String {
        let Self { scheme, user, host, database, .. } = self;
        let at = if user.is_empty() && password.is_empty() { "" } else { "@" };
        let question = if self.parameters.is_empty() { "" } else { "?" };
        format!("{scheme}://{user}{password}{at}{host}/{database}{question}{}", self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str) -> String {
        DatabaseUrl::parse(raw).unwrap().without_password()
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(
            shown("postgres://u:p%40ss@h:5432/d?sslmode=require"),
            "postgres://u@h:5432/d?sslmode=require"
        );
        assert_eq!(shown("postgresql://h/d"), "postgresql://h/d");
    }

    #[test]
    fn a_password_is_decoded_for_psql_and_kept_as_written_for_children() {
        let url = DatabaseUrl::parse("postgres://u:p%40ss@h/d").unwrap();
        assert_eq!(url.password().unwrap().as_deref(), Some("p@ss"));
        assert_eq!(url.secret(), "postgres://u:p%40ss@h/d");
    }

    #[test]
    fn another_database_keeps_server_login_and_parameters() {
        let url = DatabaseUrl::parse("postgres://u:p@h:1/d?a=b").unwrap().with_database("other");
        assert_eq!(url.secret(), "postgres://u:p@h:1/other?a=b");
    }

    #[test]
    fn another_kind_of_url_is_refused() {
        assert!(DatabaseUrl::parse("mysql://h/d").is_err());
        assert!(DatabaseUrl::parse("h/d").is_err());
    }
}
