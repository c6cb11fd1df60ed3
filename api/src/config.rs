//! The variables of `billing-api`: every mistake is listed at once.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::HeaderValue;
use common::config::{Base, Mistakes, Vars, read_brand};
use common::seal::Sealer;
use secrecy::ExposeSecret;
use url::Url;

use crate::app::Settings;
use crate::auth::{AuthSettings, KeySource};

/// For `--help`.
pub const VARIABLES: &str = "\
Variables:
  DATABASE_URL        postgres://user:password@host:5432/database (required)
  API_ADDR            where to listen (127.0.0.1:8080)
  CRON_SECRET         what the daily call to /api/cron/billing sends as its Bearer token (required)
  AUTH_JWT_SECRET     checks customers' HS256 tokens, 32 bytes or more, never below 16 (this or AUTH_JWKS_URL)
  AUTH_JWKS_URL       where the login service publishes its keys, for RS256 and ES256 tokens
  AUTH_JWT_AUDIENCE   what a token's aud must name (not checked when unset)
  CONFIRM_WAIT_SECS   how long a confirmation waits for its payment to settle, 0 to 60 (10)
  BRAND_NAME          in whose name e-mails are written (집체크)
  PUBLIC_URL          the customers' site, to which e-mails link (http://127.0.0.1:8080)
  CONSOLE_TOTP_KEYS   seal the secrets of operators' one-time codes, id:base64[,id:base64…] of 32 bytes each; the first
                      seals, all open (none: no one-time codes can be set up)
  CORS_ALLOWED_ORIGINS  pages of other origins that may call, e.g. https://shop.example,https://m.shop.example (none)
  STOP_DELAY_SECS     how long it serves on after SIGTERM, while /readyz fails, 0 to 60 (3)
  CLOCK               system, or test for one that `billing clock` moves (system)
  LOG_FORMAT          pretty or json (pretty)
  RUST_LOG            which logs are written (info)

No variable of Toss, of billing keys or of mail is read.";

/// HS256 is as strong as its key, which should have the 32 bytes of the hash (RFC 7518, section 3.2). Login services
/// with shorter ones exist; below this, a secret can be guessed.
const MIN_SECRET_BYTES: usize = 16;
const LONGEST_WAIT_SECS: u64 = 60;

#[derive(Debug, Clone)]
pub struct Config {
    pub base: Base,
    pub addr: SocketAddr,
    pub settings: Settings,
}

impl Config {
    pub fn from_env() -> Result<Self, Mistakes> {
        Self::read(Vars::from_env())
    }

    pub fn read(mut vars: Vars) -> Result<Self, Mistakes> {
        let base = Base::read(&mut vars);
        let addr = vars.parsed_or(
            "API_ADDR",
            SocketAddr::from(([127, 0, 0, 1], 8080)),
            "an address like 0.0.0.0:8080",
        );
        let auth = auth(&mut vars);
        let cron_secret = vars.required_secret("CRON_SECRET", "the Bearer token of the daily cron call");
        let confirm_wait = confirm_wait(&mut vars);
        let brand = read_brand(&mut vars);
        let totp_keys = totp_keys(&mut vars);
        let allowed_origins = allowed_origins(&mut vars);
        let (Some(auth), Some(brand)) = vars.finish((auth, brand))? else {
            return Err(Mistakes(vec!["the configuration is incomplete".to_owned()]));
        };
        let stop_delay = base.stop_delay;
        let settings =
            Settings { auth, cron_secret, confirm_wait, brand, totp_keys, allowed_origins, stop_delay };
        Ok(Self { base, addr, settings })
    }
}

/// None only after a mistake was noted.
fn auth(vars: &mut Vars) -> Option<AuthSettings> {
    let audience = vars.optional("AUTH_JWT_AUDIENCE");
    let keys = match (vars.optional_secret("AUTH_JWT_SECRET"), vars.optional("AUTH_JWKS_URL")) {
        (Some(secret), None) => {
            if secret.expose_secret().len() < MIN_SECRET_BYTES {
                vars.mistake(format!("AUTH_JWT_SECRET is too short: at least {MIN_SECRET_BYTES} bytes"));
            }
            KeySource::Secret(secret)
        }
        (None, Some(url)) => KeySource::Jwks(web_address(vars, "AUTH_JWKS_URL", &url)?),
        (None, None) => {
            vars.mistake("AUTH_JWT_SECRET or AUTH_JWKS_URL is not set: exactly one is needed");
            return None;
        }
        (Some(_), Some(_)) => {
            vars.mistake("AUTH_JWT_SECRET and AUTH_JWKS_URL are both set: exactly one is needed");
            return None;
        }
    };
    Some(AuthSettings { keys, audience })
}

fn confirm_wait(vars: &mut Vars) -> Duration {
    let what = "whole seconds, 0 to 60";
    let secs = vars.parsed_or("CONFIRM_WAIT_SECS", 10_u64, what);
    if secs > LONGEST_WAIT_SECS {
        vars.mistake(format!("CONFIRM_WAIT_SECS is wrong: {what}"));
    }
    Duration::from_secs(secs)
}

fn totp_keys(vars: &mut Vars) -> Option<Arc<Sealer>> {
    let keys = vars.optional_secret("CONSOLE_TOTP_KEYS")?;
    let sealer = Sealer::parse(keys.expose_secret());
    sealer.map_err(|error| vars.mistake(format!("CONSOLE_TOTP_KEYS is wrong: {error}"))).ok().map(Arc::new)
}

/// Exactly as a browser writes them in `Origin`. Never `*`: who may call is a decision.
fn allowed_origins(vars: &mut Vars) -> Vec<HeaderValue> {
    let text = vars.optional("CORS_ALLOWED_ORIGINS").unwrap_or_default();
    let mut origins = Vec::new();
    for origin in text.split(',').map(str::trim).filter(|origin| !origin.is_empty()) {
        let is_origin = Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == origin);
        match HeaderValue::from_str(origin) {
            Ok(value) if is_origin => origins.push(value),
            Ok(_) | Err(_) => vars.mistake(format!(
                "CORS_ALLOWED_ORIGINS is wrong: {origin:?} is not an origin like https://shop.example"
            )),
        }
    }
    origins
}

/// None only after a mistake was noted.
fn web_address(vars: &mut Vars, name: &str, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    if url.is_none() {
        vars.mistake(format!("{name} is wrong: an http or https address"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: [(&str, &str); 3] = [
        ("DATABASE_URL", "postgres://db/x"),
        ("CRON_SECRET", "cron"),
        ("AUTH_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ];

    fn read(given: &[(&str, &str)]) -> Result<Config, Mistakes> {
        Config::read(Vars::new(given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))))
    }

    #[test]
    fn the_api_runs_without_toss_sealing_or_mail_variables() {
        let config = read(&RIGHT).unwrap();
        assert_eq!(config.addr.to_string(), "127.0.0.1:8080");
        assert_eq!(config.settings.confirm_wait, Duration::from_secs(10));
        assert_eq!(config.settings.brand.name, "집체크");
    }

    #[test]
    fn every_mistake_is_listed_by_the_name_of_its_variable() {
        let Mistakes(lines) = read(&[
            ("API_ADDR", "8080"),
            ("CONFIRM_WAIT_SECS", "61"),
            ("PUBLIC_URL", "nowhere"),
            ("CONSOLE_TOTP_KEYS", "k1:x"),
        ])
        .unwrap_err();
        let named = [
            "DATABASE_URL",
            "API_ADDR",
            "CRON_SECRET",
            "AUTH_JWT_SECRET",
            "CONFIRM_WAIT_SECS",
            "PUBLIC_URL",
            "CONSOLE_TOTP_KEYS",
        ];
        assert_eq!(lines.len(), named.len(), "{lines:?}");
        for name in named {
            assert!(lines.iter().any(|line| line.starts_with(name)), "{name}: {lines:?}");
        }
    }

    #[test]
    fn an_origin_is_written_as_a_browser_does_and_not_everybodys() {
        let with = |origins| read(&[&RIGHT[..], &[("CORS_ALLOWED_ORIGINS", origins)]].concat());
        let origins = with("https://shop.example, http://127.0.0.1:8090").unwrap().settings.allowed_origins;
        assert_eq!(origins, ["https://shop.example", "http://127.0.0.1:8090"]);
        for wrong in ["*", "null", "shop.example", "https://shop.example/", "https://Shop.example"] {
            assert!(with(wrong).unwrap_err().0[0].starts_with("CORS_ALLOWED_ORIGINS"), "{wrong}");
        }
    }

    #[test]
    fn exactly_one_source_of_keys_is_taken_and_no_short_secret() {
        let both = [&RIGHT[..], &[("AUTH_JWKS_URL", "https://login.example/keys")]].concat();
        assert_eq!(read(&both).unwrap_err().0.len(), 1);
        let jwks = [&RIGHT[..2], &[("AUTH_JWKS_URL", "https://login.example/keys")]].concat();
        assert!(matches!(read(&jwks).unwrap().settings.auth.keys, KeySource::Jwks(_)));
        let short = [&RIGHT[..2], &[("AUTH_JWT_SECRET", "short")]].concat();
        assert!(read(&short).unwrap_err().0[0].starts_with("AUTH_JWT_SECRET"));
    }
}
