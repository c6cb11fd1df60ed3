//! The URL of a PostgreSQL database, with and without its password.

use anyhow::{Context, ensure};
use percent_encoding::percent_decode_str;
use url::Url;

/// `postgres://user:password@host:port/database?parameters`.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(Url);

impl DatabaseUrl {
    pub(crate) fn parse(raw: &str) -> anyhow::Result<Self> {
        let url = Url::parse(raw).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
        let url = url.context("DATABASE_URL must be a URL that begins with postgres://")?;
        ensure!(!url.cannot_be_a_base(), "DATABASE_URL must begin with postgres://");
        Ok(Self(url))
    }

    /// The same server and login, another database.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(name);
        Self(url)
    }

    /// The whole URL, for the environment of a child; never for a command line or a screen.
    pub(crate) fn secret(&self) -> String {
        self.0.to_string()
    }

    /// The URL that may be shown.
    pub(crate) fn without_password(&self) -> String {
        let mut url = self.0.clone();
        // It fails only for a URL without a host, which has no password either.
        let _ = url.set_password(None);
        url.to_string()
    }

    /// The password as it was before it was written into a URL.
    pub(crate) fn password(&self) -> anyhow::Result<Option<String>> {
        let Some(password) = self.0.password() else { return Ok(None) };
        let decoded = percent_decode_str(password).decode_utf8().context("the password is not UTF-8")?;
        Ok(Some(decoded.into_owned()))
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
    fn a_password_is_decoded_for_psql_only() {
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
        assert!(DatabaseUrl::parse("postgres:h").is_err());
    }
}
