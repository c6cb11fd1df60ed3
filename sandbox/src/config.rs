//! Configuration of a sandbox, and its check: all mistakes at once.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::keys::DEFAULT_ACCEPTED;

/// What a sandbox starts with, and returns to on reset.
#[derive(Debug, Clone)]
pub struct Config {
    /// Secret keys that open the API; an entry ending in `*` stands for all that begin so.
    pub accepted_keys: Vec<String>,
    pub webhook_url: Option<Url>,
    /// Where the virtual clock starts; None: at the machine's time.
    pub start: Option<DateTime<Utc>>,
    /// The shop whose pages are served under `/checkout`, if any.
    pub shop: Option<Shop>,
}

/// A shop for demos: its pages, and the API that they call.
#[derive(Debug, Clone)]
pub struct Shop {
    pub folder: PathBuf,
    pub api: Url,
}

impl Default for Config {
    fn default() -> Self {
        let accepted_keys = DEFAULT_ACCEPTED.map(str::to_owned).to_vec();
        Self { accepted_keys, webhook_url: None, start: None, shop: None }
    }
}

/// The settings of the `toss-sandbox` program, as they were written.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `SANDBOX_ADDR`
    pub addr: String,
    /// `SANDBOX_WEBHOOK_URL`
    pub webhook_url: Option<String>,
    /// `SANDBOX_SECRET_KEYS`, separated by commas.
    pub secret_keys: Option<String>,
    /// `SANDBOX_CHECKOUT_DIR`
    pub checkout_dir: Option<String>,
    /// `SANDBOX_CHECKOUT_API`
    pub checkout_api: Option<String>,
    /// `LOG_FORMAT`: `pretty` or `json`.
    pub log_format: String,
    /// `RUST_LOG`
    pub rust_log: Option<String>,
}

/// Settings without a mistake.
#[derive(Debug)]
pub struct Checked {
    pub addr: SocketAddr,
    pub config: Config,
    pub json_logs: bool,
    pub log_filter: EnvFilter,
}

/// Every mistake found, each with the variable's name.
#[derive(Debug)]
pub struct ConfigErrors(Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Settings {
    /// All mistakes at once, if there is any.
    pub fn check(&self) -> Result<Checked, ConfigErrors> {
        let mut mistakes = Vec::new();
        let mut config = Config::default();
        let addr = self.addr.parse::<SocketAddr>();
        if addr.is_err() {
            mistakes.push(format!("SANDBOX_ADDR: '{}' is not an address like 127.0.0.1:8090", self.addr));
        }
        if let Some(text) = &self.webhook_url {
            match webhook_url(text) {
                Ok(url) => config.webhook_url = Some(url),
                Err(why) => mistakes.push(format!("SANDBOX_WEBHOOK_URL: {why}")),
            }
        }
        if let Some(text) = &self.secret_keys {
            config.accepted_keys = text.split(',').map(|key| key.trim().to_owned()).collect();
            for key in config.accepted_keys.iter().filter(|key| !key.starts_with("test_")) {
                mistakes.push(format!(
                    "SANDBOX_SECRET_KEYS: '{key}' is not a test key; live keys do not belong here"
                ));
            }
        }
        match shop(self.checkout_dir.as_deref(), self.checkout_api.as_deref()) {
            Ok(shop) => config.shop = shop,
            Err(why) => mistakes.push(why),
        }
        if !matches!(self.log_format.as_str(), "pretty" | "json") {
            mistakes.push(format!("LOG_FORMAT: '{}' is neither pretty nor json", self.log_format));
        }
        let filter = EnvFilter::try_new(self.rust_log.as_deref().unwrap_or("info"));
        if let Err(error) = &filter {
            mistakes.push(format!("RUST_LOG: {error}"));
        }
        match (addr, filter) {
            (Ok(addr), Ok(log_filter)) if mistakes.is_empty() => {
                Ok(Checked { addr, config, json_logs: self.log_format == "json", log_filter })
            }
            _ => Err(ConfigErrors(mistakes)),
        }
    }
}

fn shop(folder: Option<&str>, api: Option<&str>) -> Result<Option<Shop>, String> {
    let (folder, api) = match (folder, api) {
        (None, None) => return Ok(None),
        (Some(folder), Some(api)) => (PathBuf::from(folder), api),
        _ => return Err("SANDBOX_CHECKOUT_DIR and SANDBOX_CHECKOUT_API go together".to_owned()),
    };
    if !folder.join("index.html").is_file() {
        return Err(format!("SANDBOX_CHECKOUT_DIR: there is no index.html in {}", folder.display()));
    }
    let api = Url::parse(api).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let api = api.ok_or("SANDBOX_CHECKOUT_API must begin with http:// or https://")?;
    Ok(Some(Shop { folder, api }))
}

/// Webhooks go out over plain HTTP: the receiver is a program on the same machine or network.
pub(crate) fn webhook_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(url),
        Ok(_) => Err(format!("'{text}' must begin with http://")),
        Err(error) => Err(format!("'{text}' is not a URL: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_listed() {
        let settings = Settings {
            addr: "nowhere".to_owned(),
            webhook_url: Some("ftp://x".to_owned()),
            secret_keys: Some("test_sk_a, live_sk_b".to_owned()),
            checkout_dir: Some("/nowhere".to_owned()),
            checkout_api: None,
            log_format: "loud".to_owned(),
            rust_log: Some("sandbox=shout".to_owned()),
        };
        let text = settings.check().unwrap_err().to_string();
        for name in [
            "SANDBOX_ADDR",
            "SANDBOX_WEBHOOK_URL",
            "SANDBOX_SECRET_KEYS",
            "SANDBOX_CHECKOUT_API",
            "LOG_FORMAT",
            "RUST_LOG",
        ] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn the_defaults_are_fine() {
        let addr = "127.0.0.1:8090".to_owned();
        let settings = Settings { addr, log_format: "pretty".to_owned(), ..Settings::default() };
        assert_eq!(settings.check().unwrap().config.accepted_keys.len(), 4);
    }
}
