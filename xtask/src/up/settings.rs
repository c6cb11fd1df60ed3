//! The variables of every process: what this machine needs, unless the shell says otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;

use super::ports;
use crate::postgres::DatabaseUrl;
use crate::project::Project;
use crate::secrets;

/// Toss's public test keys, printed in its documentation; they charge nobody.
const TOSS_SECRET_KEY: &str = "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R";
const TOSS_WIDGET_SECRET_KEY: &str = "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6";

/// What any program needs of its surroundings.
const SYSTEM: &[&str] =
    &["PATH", "HOME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_BACKTRACE"];
const LOGGING: &[&str] = &["LOG_FORMAT", "RUST_LOG"];
const SHARED: &[&str] =
    &["DATABASE_URL", "BRAND_NAME", "PUBLIC_URL", "CLOCK", "INSTANCE_ID", "STOP_DELAY_SECS"];
/// No Toss, billing key or mail variables: the API must run without, and so it shows that it does.
const API: &[&str] = &[
    "API_ADDR",
    "CRON_SECRET",
    "AUTH_JWT_SECRET",
    "AUTH_JWT_AUDIENCE",
    "CONFIRM_WAIT_SECS",
    "CONSOLE_TOTP_KEYS",
    "CORS_ALLOWED_ORIGINS",
];
const WORKER: &[&str] = &[
    "WORKER_ADDR",
    "TOSS_BASE_URL",
    "TOSS_SECRET_KEY",
    "TOSS_WIDGET_SECRET_KEY",
    "BILLING_KEY_ENCRYPTION_KEYS",
    "MAIL_URL",
    "MAIL_FROM",
    "WEBHOOK_URL",
    "WEBHOOK_SECRETS",
    "SCAN_CRON",
    "DUNNING_RETRY_DAYS",
    "CHARGE_CONCURRENCY",
    "TOSS_MAX_RPS",
];
const SANDBOX: &[&str] =
    &["SANDBOX_ADDR", "SANDBOX_WEBHOOK_URL", "SANDBOX_CHECKOUT_DIR", "SANDBOX_CHECKOUT_API"];

/// Who a set of variables is for.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Api,
    Worker,
    Sandbox,
    Ops,
}

impl Role {
    fn variables(self) -> Vec<&'static str> {
        let groups: &[&[&str]] = match self {
            Self::Api => &[SYSTEM, LOGGING, SHARED, API],
            Self::Worker => &[SYSTEM, LOGGING, SHARED, WORKER],
            Self::Sandbox => &[SYSTEM, LOGGING, SANDBOX],
            Self::Ops => &[SYSTEM, LOGGING, SHARED, API, WORKER, SANDBOX],
        };
        groups.concat()
    }
}

pub(crate) struct Settings {
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    pub(crate) fn gather(project: &Project, database: &DatabaseUrl) -> anyhow::Result<Self> {
        let secrets = secrets::load_or_make(project)?;
        let mail = project.dev()?.join("mail");
        std::fs::create_dir_all(&mail)?;
        let mut settings = Self { values: BTreeMap::new() };
        settings.values.insert("CLOCK", "test".to_owned());
        // No load balancer looks: Ctrl-C is answered at once.
        settings.values.insert("STOP_DELAY_SECS", "0".to_owned());
        settings.values.insert("INSTANCE_ID", "dev".to_owned());
        settings.values.insert("MAIL_URL", format!("file://{}", mail.display()));
        settings.values.insert("MAIL_FROM", "billing@example.com".to_owned());
        for name in Role::Ops.variables() {
            if let Some(value) = secrets.get(name) {
                settings.values.insert(name, value.clone());
            }
            if let Ok(value) = std::env::var(name) {
                settings.values.insert(name, value);
            }
        }
        settings.choose_addresses()?;
        let webhooks = format!("{}/api/webhooks/toss", settings.base_url("API_ADDR")?);
        settings.values.entry("SANDBOX_WEBHOOK_URL").or_insert(webhooks);
        settings.open_the_shop(project)?;
        // Last, because no shell's real key may ever meet a test clock.
        let toss = settings.base_url("SANDBOX_ADDR")?;
        settings.values.insert("TOSS_BASE_URL", toss);
        settings.values.insert("TOSS_SECRET_KEY", TOSS_SECRET_KEY.to_owned());
        settings.values.insert("TOSS_WIDGET_SECRET_KEY", TOSS_WIDGET_SECRET_KEY.to_owned());
        settings.values.insert("DATABASE_URL", database.secret());
        Ok(settings)
    }

    /// The example checkout: its pages come from the sandbox, call the API, and are what e-mails link to.
    fn open_the_shop(&mut self, project: &Project) -> anyhow::Result<()> {
        let (api, sandbox) = (self.base_url("API_ADDR")?, self.base_url("SANDBOX_ADDR")?);
        let folder = project.root.join("examples/checkout").display().to_string();
        self.values.insert("SANDBOX_CHECKOUT_DIR", folder);
        self.values.insert("SANDBOX_CHECKOUT_API", api);
        self.values.entry("PUBLIC_URL").or_insert(format!("{sandbox}/checkout"));
        self.values.entry("CORS_ALLOWED_ORIGINS").or_insert(sandbox);
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> anyhow::Result<&str> {
        self.find(name).with_context(|| format!("{name} is not set"))
    }

    pub(crate) fn address(&self, name: &str) -> anyhow::Result<SocketAddr> {
        Ok(self.get(name)?.parse()?)
    }

    /// The URL at which this machine reaches the process that listens on the address in `name`.
    pub(crate) fn base_url(&self, name: &str) -> anyhow::Result<String> {
        Ok(format!("http://{}", super::probe::reachable(self.address(name)?)))
    }

    /// Everything that a process of this role may see, and nothing else.
    pub(crate) fn environment(&self, role: Role) -> Vec<(&'static str, &str)> {
        role.variables().into_iter().filter_map(|name| Some((name, self.find(name)?))).collect()
    }

    /// The operators' command line with the same settings as the processes.
    pub(crate) fn billing(&self, project: &Project) -> anyhow::Result<Command> {
        let mut command = Command::new(project.binary("billing")?);
        command.env_clear().envs(self.environment(Role::Ops)).current_dir(&project.root);
        Ok(command)
    }

    /// A file for `set -a; . .dev/env`, with what the commands on the screen use.
    pub(crate) fn as_shell(&self, customer_token: &str) -> anyhow::Result<String> {
        let extra = [
            ("API_URL", self.base_url("API_ADDR")?),
            ("SANDBOX_URL", self.base_url("SANDBOX_ADDR")?),
            ("CUSTOMER_TOKEN", customer_token.to_owned()),
        ];
        let own = self.values.iter().filter(|(name, _)| !SYSTEM.contains(name));
        let own = own.map(|(name, value)| (*name, value.as_str()));
        let all = own.chain(extra.iter().map(|(name, value)| (*name, value.as_str())));
        let mut text = "# Written by `cargo xtask up`. Use it with: set -a; . .dev/env; set +a\n".to_owned();
        for (name, value) in all {
            writeln!(text, "{name}='{}'", value.replace('\'', r"'\''"))?;
        }
        Ok(text)
    }

    fn choose_addresses(&mut self) -> anyhow::Result<()> {
        let usual = [
            ("API_ADDR", "127.0.0.1:8080"),
            ("WORKER_ADDR", "127.0.0.1:8081"),
            ("SANDBOX_ADDR", "127.0.0.1:8090"),
        ];
        let wanted = usual.map(|(name, usual)| (name, self.find(name).unwrap_or(usual).to_owned()));
        for (name, address) in ports::choose(&wanted)? {
            self.values.insert(name, address.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_sees_no_toss_key_no_sealing_key_and_no_mail_server() {
        let secret = |name: &str| {
            ["TOSS_", "MAIL_", "BILLING_KEY_", "WEBHOOK_"].iter().any(|prefix| name.starts_with(prefix))
        };
        assert!(!Role::Api.variables().into_iter().any(secret));
        assert!(Role::Worker.variables().into_iter().any(secret));
    }

    #[test]
    fn the_sandbox_sees_nothing_of_ours() {
        assert!(!Role::Sandbox.variables().contains(&"DATABASE_URL"));
    }

    #[test]
    fn a_value_is_quoted_for_the_shell() {
        let values = BTreeMap::from([
            ("API_ADDR", "0.0.0.0:1".to_owned()),
            ("SANDBOX_ADDR", "127.0.0.1:2".to_owned()),
            ("SCAN_CRON", "0 0 2 * * *".to_owned()),
            ("BRAND_NAME", "it's".to_owned()),
        ]);
        let text = Settings { values }.as_shell("t").unwrap();
        assert!(text.contains("SCAN_CRON='0 0 2 * * *'\n"));
        assert!(text.contains(r"BRAND_NAME='it'\''s'"));
        assert!(text.contains("API_URL='http://127.0.0.1:1'"));
    }
}
