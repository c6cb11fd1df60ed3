//! The variables that `docker-compose.yml` and `.env.example` may name: the contract's, and no others. The README has each.

use std::collections::BTreeSet;

/// What the programs read: the contract, and what only the sandbox adds to it.
const CONTRACT: [&str; 37] = [
    "API_ADDR",
    "AUTH_JWKS_URL",
    "AUTH_JWT_AUDIENCE",
    "AUTH_JWT_SECRET",
    "BILLING_KEY_ENCRYPTION_KEYS",
    "BRAND_NAME",
    "CHARGE_CONCURRENCY",
    "CLOCK",
    "CONFIRM_WAIT_SECS",
    "CONSOLE_TOTP_KEYS",
    "CORS_ALLOWED_ORIGINS",
    "CRON_SECRET",
    "DATABASE_URL",
    "DUNNING_RETRY_DAYS",
    "INSTANCE_ID",
    "LOG_FORMAT",
    "MAIL_FROM",
    "MAIL_URL",
    "PUBLIC_URL",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SANDBOX_ADDR",
    "SANDBOX_CHECKOUT_API",
    "SANDBOX_CHECKOUT_DIR",
    "SANDBOX_SECRET_KEYS",
    "SANDBOX_WEBHOOK_URL",
    "SCAN_CRON",
    "STOP_DELAY_SECS",
    "TOSS_BASE_URL",
    "TOSS_CLIENT_KEY",
    "TOSS_MAX_RPS",
    "TOSS_SECRET_KEY",
    "TOSS_WIDGET_SECRET_KEY",
    "TZ",
    "WEBHOOK_SECRETS",
    "WEBHOOK_URL",
    "WORKER_ADDR",
];

/// What only the compose file reads.
const COMPOSE_ONLY: [&str; 1] = ["POSTGRES_PASSWORD"];

/// Unknown names, names that the compose file asks for but the example does not mention, and names that the README lacks.
pub(super) fn findings(compose: &str, example: &str, readme: &str) -> Vec<String> {
    let (asked, offered) = (interpolated(compose), assigned(example));
    let known = |name: &&&str| CONTRACT.contains(*name) || COMPOSE_ONLY.contains(*name);
    let unknown = |file: &str, names: &BTreeSet<&str>| -> Vec<String> {
        let names = names.iter().filter(|name| !known(name));
        names.map(|name| format!("{file}: {name} is not a variable of the contract")).collect()
    };
    let missing = asked.difference(&offered).map(|name| format!(".env.example: {name} is missing"));
    let explained = |name: &&&str| COMPOSE_ONLY.contains(*name) || readme.contains(&format!("`{name}`"));
    let unexplained = offered.iter().filter(|name| !explained(name));
    let unexplained =
        unexplained.map(|name| format!("README.md: {name} is missing in the table of variables"));
    [
        unknown("docker-compose.yml", &asked),
        unknown(".env.example", &offered),
        missing.collect(),
        unexplained.collect(),
    ]
    .concat()
}

/// The names in `${NAME}`, `${NAME:?why}` and `${NAME:-default}`; `$$` is an escaped dollar.
fn interpolated(compose: &str) -> BTreeSet<&str> {
    let lines = compose.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(|line| line.split("${").skip(1)).map(name_at_start).collect()
}

/// The names in `NAME=value`, also where the line is commented out.
fn assigned(example: &str) -> BTreeSet<&str> {
    let lines = example.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    let name = |line| -> Option<&str> {
        let name = name_at_start(line);
        (!name.is_empty() && line.strip_prefix(name)?.starts_with('=')).then_some(name)
    };
    lines.filter_map(name).collect()
}

fn name_at_start(text: &str) -> &str {
    let end = text.find(|sign: char| !sign.is_ascii_uppercase() && !sign.is_ascii_digit() && sign != '_');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "| `CRON_SECRET` | | `LOG_FORMAT` |";

    #[test]
    fn a_variable_outside_the_contract_is_found_in_either_file() {
        let found = findings("a: ${STRIPE_KEY:?set it}\n", "STRIPE_KEY=1\n", "`STRIPE_KEY`");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_variable_of_compose_must_be_in_the_example() {
        let compose = "a: ${CRON_SECRET:?set it} ${LOG_FORMAT:-json}\n# ${OTHER}\n";
        assert_eq!(findings(compose, "CRON_SECRET=\n", README), [".env.example: LOG_FORMAT is missing"]);
        assert_eq!(
            findings(compose, "CRON_SECRET=\n#LOG_FORMAT=json\n# A sentence.\n", README),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_variable_that_the_readme_does_not_explain_is_found() {
        let found = findings("", "CRON_SECRET=\nBRAND_NAME=\n", README);
        assert_eq!(found, ["README.md: BRAND_NAME is missing in the table of variables"]);
    }
}
