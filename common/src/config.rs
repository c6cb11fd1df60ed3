//! Reads the environment and lists every mistake at once, by the name of its variable.

use std::{fmt, io::Write, process::ExitCode, str::FromStr, time::Duration};

use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::clock::ClockKind;
use crate::email::Brand;
use crate::logging::LogFormat;
use crate::mailer::MailRoute;
use crate::{logging, mailer, store};

/// The environment as it is read, with the mistakes found so far.
#[derive(Default)]
pub struct Vars {
    given: Vec<(String, String)>,
    mistakes: Vec<String>,
}

/// Everything that is wrong with the configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl std::error::Error for Mistakes {}

impl Mistakes {
    /// What `--check-config` prints: one mistake a line, on standard output.
    pub fn list(&self) -> ExitCode {
        let mut stdout = std::io::stdout().lock();
        for line in &self.0 {
            // A reader that has gone away has the exit code.
            let _ = writeln!(stdout, "{line}");
        }
        ExitCode::from(2)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration is wrong:")?;
        self.0.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Vars {
    pub fn from_env() -> Self {
        Self::new(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    pub fn new(given: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { given: given.into_iter().collect(), mistakes: Vec::new() }
    }

    /// The variable's text; empty counts as unset, as docker compose passes unset variables.
    pub fn optional(&self, name: &str) -> Option<String> {
        let found = self.given.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub fn required(&mut self, name: &str, what: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.mistake(format!("{name} is not set: {what}"));
            String::new()
        })
    }

    pub fn required_secret(&mut self, name: &str, what: &str) -> SecretString {
        SecretString::from(self.required(name, what))
    }

    pub fn optional_secret(&self, name: &str) -> Option<SecretString> {
        self.optional(name).map(SecretString::from)
    }

    /// The variable parsed, or `default` where it is not set. `what` says what would be right.
    pub fn parsed_or<T: FromStr>(&mut self, name: &str, default: T, what: &str) -> T {
        self.parsed(name, what).unwrap_or(default)
    }

    /// The variable parsed; none where it is not set or wrong (which is then among the mistakes).
    pub fn parsed<T: FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let text = self.optional(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistake(format!("{name} is wrong: {what}"));
        }
        parsed
    }

    pub fn mistake(&mut self, line: impl Into<String>) {
        self.mistakes.push(line.into());
    }

    /// `value` if nothing was wrong, else every mistake.
    pub fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }
}

/// What every process needs: where the database is, which clock, how to log.
#[derive(Debug, Clone)]
pub struct Base {
    pub database_url: SecretString,
    pub clock: ClockKind,
    pub log_format: LogFormat,
    /// `RUST_LOG`, known to be one.
    pub log_filter: Option<String>,
    /// Between the failing readiness and the closing of the listener: load balancers look elsewhere meanwhile.
    pub stop_delay: Duration,
}

const DATABASE_URL: &str = "postgres://user:password@host:5432/database";

impl Base {
    pub fn read(vars: &mut Vars) -> Self {
        let database_url = vars.required_secret("DATABASE_URL", DATABASE_URL);
        let url = database_url.expose_secret();
        if !url.is_empty() && store::address(url).is_none() {
            vars.mistake(format!("DATABASE_URL is wrong: {DATABASE_URL}"));
        }
        let log_filter = vars.optional("RUST_LOG");
        if let Some(Err(error)) = log_filter.as_deref().map(logging::check) {
            vars.mistake(format!("RUST_LOG is wrong: {error}"));
        }
        let base = Self {
            database_url,
            clock: vars.parsed_or("CLOCK", ClockKind::System, "system or test"),
            log_format: vars.parsed_or("LOG_FORMAT", LogFormat::Pretty, "pretty or json"),
            log_filter,
            stop_delay: read_stop_delay(vars),
        };
        if base.clock == ClockKind::Test {
            refuse_live_keys(vars);
        }
        base
    }
}

/// `STOP_DELAY_SECS`. By default longer than a load balancer takes to ask once more, shorter than anybody waits.
fn read_stop_delay(vars: &mut Vars) -> Duration {
    let what = "whole seconds, 0 to 60";
    let seconds = vars.parsed_or("STOP_DELAY_SECS", 3_u64, what);
    if seconds > 60 {
        vars.mistake(format!("STOP_DELAY_SECS is wrong: {what}"));
    }
    Duration::from_secs(seconds)
}

/// `BRAND_NAME` and `PUBLIC_URL`: in whose name customers are written to. None where the address is wrong, which is then
/// among the mistakes.
pub fn read_brand(vars: &mut Vars) -> Option<Brand> {
    let name = vars.optional("BRAND_NAME").unwrap_or_else(|| "집체크".to_owned());
    let url = vars.optional("PUBLIC_URL").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let public_url = url.parse::<Url>().ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    if public_url.is_none() {
        vars.mistake("PUBLIC_URL is wrong: the customers' site, http:// or https://");
    }
    public_url.map(|public_url| Brand { name, public_url })
}

/// `MAIL_URL` and `MAIL_FROM`. Without the latter the sender is `billing@` and the host of `PUBLIC_URL`; without a name of
/// its own the sender has the brand's.
pub fn read_mail(vars: &mut Vars, brand: Option<&Brand>) -> Option<(MailRoute, Mailbox)> {
    let url = vars.required("MAIL_URL", "smtp://…, smtps://… or file:///folder");
    let route = MailRoute::parse(&url);
    if let Err(error) = &route
        && !url.is_empty()
    {
        vars.mistake(format!("MAIL_URL is wrong: {error}"));
    }
    let name = brand.map(|brand| brand.name.as_str());
    let from = match (vars.optional("MAIL_FROM"), brand) {
        (Some(given), _) => mailer::sender(name, &given)
            .map_err(|error| vars.mistake(format!("MAIL_FROM is wrong: {error}, with or without a name"))),
        (None, Some(brand)) => {
            mailer::sender(name, &format!("billing@{}", brand.mail_domain())).map_err(|error| {
                vars.mistake(format!("PUBLIC_URL gives no sender of e-mails ({error}): set MAIL_FROM"));
            })
        }
        (None, None) => return None,
    };
    Some((route.ok()?, from.ok()?))
}

/// A clock that can be moved would charge real cards ahead of time.
fn refuse_live_keys(vars: &mut Vars) {
    for name in ["TOSS_SECRET_KEY", "TOSS_WIDGET_SECRET_KEY", "TOSS_CLIENT_KEY"] {
        if vars.optional(name).is_some_and(|key| key.starts_with("live_")) {
            vars.mistake(format!("CLOCK=test is for test keys only, and {name} is a live one"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(given: &[(&str, &str)]) -> Vars {
        Vars::new(given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn every_mistake_is_listed_at_once_by_the_name_of_its_variable() {
        let mut vars = vars(&[("CLOCK", "sundial"), ("LOG_FORMAT", "xml"), ("PORT", "")]);
        let base = Base::read(&mut vars);
        let Mistakes(lines) = vars.finish(base).unwrap_err();
        assert_eq!(lines.len(), 3);
        for name in ["DATABASE_URL", "CLOCK", "LOG_FORMAT"] {
            assert!(lines.iter().any(|line| line.starts_with(name)), "{lines:?}");
        }
    }

    #[test]
    fn wrong_addresses_and_filters_are_listed_and_not_repeated() {
        for wrong in ["nonsense", "mysql://x/y", "postgres://x:port/y", "user:secret@host/x"] {
            let mut vars = vars(&[("DATABASE_URL", wrong), ("RUST_LOG", "sqlx=shout"), ("CLOCK", "sundial")]);
            let base = Base::read(&mut vars);
            let Mistakes(lines) = vars.finish(base).unwrap_err();
            assert_eq!(lines.len(), 3, "{lines:?}");
            for (line, name) in lines.iter().zip(["DATABASE_URL", "RUST_LOG", "CLOCK"]) {
                assert!(line.starts_with(name) && !line.contains(wrong), "{line}");
            }
        }
    }

    #[test]
    fn a_movable_clock_is_refused_with_live_keys() {
        let mut vars =
            vars(&[("DATABASE_URL", "postgres://x"), ("CLOCK", "test"), ("TOSS_SECRET_KEY", "live_sk_x")]);
        let base = Base::read(&mut vars);
        assert!(vars.finish(base).unwrap_err().0[0].contains("TOSS_SECRET_KEY"));
    }
}
