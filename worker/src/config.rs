//! The worker's variables, read and checked all at once.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use chrono::NaiveTime;
use common::config::{Base, Mistakes, Vars, read_brand, read_mail};
use common::domain::dunning::Policy;
use common::email::Brand;
use common::mailer::Mailer;
use common::seal::Sealer;
use common::store::gate::Instance;
use sha2::{Digest, Sha256};
use toss::{Toss, TossConfig};
use url::Url;

use crate::endpoint;
use crate::endpoint::{BadEndpoint, Endpoint, Secrets};
use crate::gateway::rate_limiter::RateLimiter;
use crate::scheduler::Schedule;

pub struct Config {
    pub base: Base,
    pub addr: SocketAddr,
    pub toss: Toss,
    pub rate_limiter: RateLimiter,
    pub sealer: Sealer,
    pub brand: Brand,
    pub mailer: Mailer,
    pub endpoint: Option<Endpoint>,
    pub dunning: Policy,
    pub schedule: Schedule,
    pub charge_time: NaiveTime,
    pub charge_concurrency: usize,
    pub instance: Option<Instance>,
}

/// What `--help` says about the environment.
pub const HELP: &str = "\
Environment:
  DATABASE_URL                  PostgreSQL; required
  WORKER_ADDR                   health and metrics [127.0.0.1:8081]
  TOSS_BASE_URL                 [https://api.tosspayments.com]
  TOSS_SECRET_KEY               API-individual secret key, for billing; required
  TOSS_WIDGET_SECRET_KEY        secret key of the payment widget, for confirmations [TOSS_SECRET_KEY]
  TOSS_MAX_RPS                  calls to Toss per second, of all workers together [10; with test keys at Toss itself 1]
  BILLING_KEY_ENCRYPTION_KEYS   id:base64[,id:base64…], 32 bytes each; the first seals, all open; required
  MAIL_URL                      smtp://[user:password@]host[:port], smtps://… or file:///folder; required
                                smtp:// with a password needs STARTTLS; ?tls=none sends it in clear, as does a host
                                that is this machine; ?tls=required needs STARTTLS without a password, too
  MAIL_FROM                     sender, an address or Name <address> [billing@ and the host of PUBLIC_URL]
  BRAND_NAME                    name of the sender [집체크]
  PUBLIC_URL                    the customers' site, for links in e-mails [http://127.0.0.1:8080]
  WEBHOOK_URL                   where events go, https; plain http to this machine or with test keys [nowhere]
  WEBHOOK_SECRETS               whsec_<base64>[,whsec_<base64>…], 24 to 64 bytes each; each signs
  SCAN_CRON                     daily run: second minute hour day month weekday, Asia/Seoul [0 0 2 * * *]
  DUNNING_RETRY_DAYS            days between a decline and the next try [3,3]
  CHARGE_CONCURRENCY            charges at once, of this process [8]
  INSTANCE_ID                   names this installation; required with live keys
  STOP_DELAY_SECS               how long health and metrics are served after SIGTERM at least, 0 to 60 [3]
  CLOCK                         system | test (test keys only) [system]
  LOG_FORMAT                    pretty | json [pretty]
  RUST_LOG                      [info]";

impl Config {
    pub fn read(mut vars: Vars) -> Result<Self, Mistakes> {
        let base = Base::read(&mut vars);
        let addr = vars.parsed_or("WORKER_ADDR", SocketAddr::from(([127, 0, 0, 1], 8081)), "host:port");
        let toss = read_toss(&mut vars);
        let rps = vars.parsed("TOSS_MAX_RPS", "a whole number of calls per second, 1 or more");
        let rps = rps.map_or_else(|| default_rate(&vars), NonZeroU32::get);
        let keys = vars.required("BILLING_KEY_ENCRYPTION_KEYS", "id:base64 of 32 random bytes");
        let sealer = keep(&mut vars, "BILLING_KEY_ENCRYPTION_KEYS", &keys, Sealer::parse);
        let brand = read_brand(&mut vars);
        let mailer = read_mailer(&mut vars, brand.as_ref());
        let endpoint = read_endpoint(&mut vars);
        let dunning = read_dunning(&mut vars);
        let schedule = vars
            .parsed::<Schedule>("SCAN_CRON", "second minute hour day month weekday, e.g. 0 0 2 * * *")
            .or_else(|| "0 0 2 * * *".parse().ok());
        let charges = vars.parsed("CHARGE_CONCURRENCY", "a whole number, 1 or more");
        let charge_time =
            schedule.as_ref().and_then(|schedule| schedule.charge_time().ok()).unwrap_or_default();
        let instance = read_instance(&mut vars);
        let parts = (toss, sealer, brand, mailer, schedule);
        let (Some(toss), Some(sealer), Some(brand), Some(mailer), Some(schedule)) = vars.finish(parts)?
        else {
            return Err(Mistakes(vec!["the configuration is incomplete".into()]));
        };
        let rate_limiter = RateLimiter::new(rps);
        Ok(Self {
            base,
            addr,
            toss,
            rate_limiter,
            sealer,
            brand,
            mailer,
            endpoint,
            dunning,
            schedule,
            charge_time,
            charge_concurrency: charges.map_or(8, NonZeroUsize::get),
            instance,
        })
    }
}

/// Builds a part from its text, or notes what is wrong with it. An empty text has been noted already.
fn keep<T, E: std::fmt::Display>(
    vars: &mut Vars,
    name: &str,
    text: &str,
    build: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    build(text).map_err(|error| vars.mistake(format!("{name} is wrong: {error}"))).ok()
}

fn read_toss(vars: &mut Vars) -> Option<Toss> {
    let url = vars.optional("TOSS_BASE_URL").unwrap_or_else(|| "https://api.tosspayments.com".to_owned());
    let url = keep(vars, "TOSS_BASE_URL", &url, str::parse::<Url>);
    let secret = vars.required("TOSS_SECRET_KEY", "the secret key of the billing contract");
    let secret = keep(vars, "TOSS_SECRET_KEY", &secret, |key| secret_key(key, &["sk"]));
    let widget = match vars.optional("TOSS_WIDGET_SECRET_KEY") {
        Some(key) => keep(vars, "TOSS_WIDGET_SECRET_KEY", &key, |key| secret_key(key, &["sk", "gsk"])),
        None => secret.clone(),
    };
    let (secret, widget) = (secret?, widget?);
    if secret.starts_with("live_") != widget.starts_with("live_") {
        vars.mistake("TOSS_SECRET_KEY and TOSS_WIDGET_SECRET_KEY do not fit: one is a test key, one is live");
    }
    let built = Toss::new(TossConfig::new(url?, secret.into(), widget.into()));
    built.map_err(|error| vars.mistake(format!("TOSS_BASE_URL or TOSS_SECRET_KEY is wrong: {error}"))).ok()
}

/// Toss takes 100 calls a minute of each kind with test keys (docs.tosspayments.com, environment); a sandbox takes more.
fn default_rate(vars: &Vars) -> u32 {
    let has_test_keys = vars.optional("TOSS_SECRET_KEY").is_some_and(|key| key.starts_with("test_"));
    let host =
        vars.optional("TOSS_BASE_URL").and_then(|url| url.parse::<Url>().ok()?.host_str().map(str::to_owned));
    let is_toss = host.is_none_or(|host| host.ends_with("tosspayments.com"));
    if has_test_keys && is_toss { 1 } else { 10 }
}

/// Toss writes them `test_sk_…` and `live_sk_…`, the widget's also `test_gsk_…`. A client key in their place, or a slip,
/// would be found out with the first customer's money.
fn secret_key(key: &str, kinds: &[&str]) -> Result<String, String> {
    let begins: Vec<_> =
        kinds.iter().flat_map(|kind| [format!("test_{kind}_"), format!("live_{kind}_")]).collect();
    if begins.iter().any(|begin| key.starts_with(begin)) {
        return Ok(key.to_owned());
    }
    Err(format!("it begins with {}", begins.join(" or ")))
}

/// A database that was charged from is bound to this id and this merchant, so that a copy of it charges nobody.
fn read_instance(vars: &mut Vars) -> Option<Instance> {
    let secret = vars.optional("TOSS_SECRET_KEY").unwrap_or_default();
    let id = vars.optional("INSTANCE_ID");
    if id.is_none() && secret.starts_with("live_") {
        vars.mistake("INSTANCE_ID is not set: with live keys, name this installation, e.g. production");
    }
    let digest = Sha256::digest(secret.as_bytes());
    let merchant =
        digest.first_chunk().map(|head| format!("{:016x}", u64::from_be_bytes(*head))).unwrap_or_default();
    id.map(|id| Instance { id, merchant })
}

fn read_mailer(vars: &mut Vars, brand: Option<&Brand>) -> Option<Mailer> {
    let (route, from) = read_mail(vars, brand)?;
    route.prepare().map_err(|error| vars.mistake(format!("MAIL_URL is wrong: {error}"))).ok()?;
    Some(Mailer::new(route, from))
}

/// Both variables or neither.
fn read_endpoint(vars: &mut Vars) -> Option<Endpoint> {
    let given = (vars.optional("WEBHOOK_URL"), vars.optional("WEBHOOK_SECRETS"));
    let (url, secrets) = match given {
        (None, None) => return None,
        (Some(url), Some(secrets)) => (url, secrets),
        (Some(_), None) => {
            vars.mistake(
                "WEBHOOK_SECRETS is not set: whsec_ and base64 of 32 random bytes, as WEBHOOK_URL has it",
            );
            return None;
        }
        (None, Some(_)) => {
            vars.mistake("WEBHOOK_URL is not set: the endpoint that WEBHOOK_SECRETS are for");
            return None;
        }
    };
    let for_tests = vars.optional("TOSS_SECRET_KEY").is_some_and(|key| key.starts_with("test_"));
    let mut told = |error: BadEndpoint| vars.mistake(error.to_string());
    let secrets = secrets.parse::<Secrets>().map_err(&mut told).ok();
    let url = url.parse().map_err(|_| BadEndpoint::Url("it is no URL")).map_err(&mut told).ok();
    let url = url.filter(|url| endpoint::allowed(url, for_tests).map_err(&mut told).is_ok());
    Endpoint::new(&url?, secrets?, for_tests).map_err(told).ok()
}

fn read_dunning(vars: &mut Vars) -> Policy {
    let text = vars.optional("DUNNING_RETRY_DAYS").unwrap_or_else(|| "3,3".to_owned());
    let days: Result<Vec<u32>, _> = text.split(',').map(|day| day.trim().parse::<u32>()).collect();
    match days {
        Ok(retry_days) if retry_days.iter().all(|day| (1..=60).contains(day)) => Policy { retry_days },
        Ok(_) | Err(_) => {
            vars.mistake("DUNNING_RETRY_DAYS is wrong: days between tries, each 1 to 60, e.g. 3,3");
            Policy { retry_days: Vec::new() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_is_told_everything_that_is_missing() {
        let Err(Mistakes(lines)) = Config::read(Vars::new([])) else { panic!("an empty environment") };
        for name in ["DATABASE_URL", "TOSS_SECRET_KEY", "BILLING_KEY_ENCRYPTION_KEYS", "MAIL_URL"] {
            assert!(lines.iter().any(|line| line.starts_with(name)), "{name}: {lines:?}");
        }
    }

    #[test]
    fn every_wrong_value_is_named() {
        let wrong = [
            ("DATABASE_URL", "mysql://x/y"),
            ("RUST_LOG", "sqlx=shout"),
            ("TOSS_SECRET_KEY", "test_ck_x"),
            ("TOSS_WIDGET_SECRET_KEY", "secret"),
            ("TOSS_BASE_URL", "not a url"),
            ("TOSS_MAX_RPS", "0"),
            ("CHARGE_CONCURRENCY", "0"),
            ("BILLING_KEY_ENCRYPTION_KEYS", "k1:short"),
            ("MAIL_URL", "pigeon://loft"),
            ("MAIL_FROM", "nobody"),
            ("DUNNING_RETRY_DAYS", "3,0"),
            ("SCAN_CRON", "at dawn"),
            ("WORKER_ADDR", "here"),
            ("PUBLIC_URL", "ftp://x"),
            ("WEBHOOK_URL", "ftp://x"),
            ("WEBHOOK_SECRETS", "secret"),
        ];
        let vars = Vars::new(wrong.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let Err(Mistakes(lines)) = Config::read(vars) else { panic!("nothing was right") };
        for (name, value) in wrong {
            let told: Vec<_> = lines.iter().filter(|line| line.starts_with(name)).collect();
            assert_eq!(told.len(), 1, "{name}: {lines:?}");
            assert!(!name.contains("KEY") || !told[0].contains(value), "{told:?}");
        }
    }

    #[test]
    fn test_keys_at_toss_itself_stay_below_its_limit() {
        let rate = |vars: &[(&str, &str)]| {
            default_rate(&Vars::new(
                vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            ))
        };
        assert_eq!(rate(&[("TOSS_SECRET_KEY", "test_sk_x")]), 1);
        assert_eq!(rate(&[("TOSS_SECRET_KEY", "test_sk_x"), ("TOSS_BASE_URL", "http://127.0.0.1:8090")]), 10);
        assert_eq!(rate(&[("TOSS_SECRET_KEY", "live_sk_x")]), 10);
    }

    #[test]
    fn the_two_keys_are_of_one_world() {
        let mixed = [("TOSS_SECRET_KEY", "test_sk_x"), ("TOSS_WIDGET_SECRET_KEY", "live_gsk_y")];
        let vars = Vars::new(mixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let Err(Mistakes(lines)) = Config::read(vars) else { panic!("the rest is missing") };
        let told = lines.iter().find(|line| line.contains("do not fit")).unwrap();
        assert!(told.contains("TOSS_SECRET_KEY") && told.contains("TOSS_WIDGET_SECRET_KEY"), "{told}");
    }
}
