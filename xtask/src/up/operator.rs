//! The one operator that the started system has from the beginning.

use std::fs;

use anyhow::Context;
use serde_json::{Value, json};

use super::secrets;
use super::settings::Settings;
use crate::postgres::DatabaseUrl;
use crate::process;
use crate::project::Project;

pub(crate) const EMAIL: &str = "operator@example.com";

/// How the operator of this machine gets in.
pub(crate) struct Operator {
    /// For the API.
    pub(crate) token: String,
    /// Sets the console's password, once.
    pub(crate) link: String,
}

/// The operator's token, which `billing operator add` shows once, so it is kept beside the other secrets; and a new link.
pub(crate) fn ensure(
    project: &Project,
    settings: &Settings,
    database: &DatabaseUrl,
) -> anyhow::Result<Operator> {
    let kept = project.dev()?.join("operator.json");
    // Another server or database has operators of its own.
    let of = database.without_password();
    let console = ["--console-url", &settings.base_url("API_ADDR")?, "--json"];
    let ask = |arguments: &[&str]| -> anyhow::Result<Value> {
        let mut command = settings.billing(project)?;
        let said = process::output(command.arg("operator").args(arguments).args(console))?;
        serde_json::from_str(&said).context("`billing operator` printed no JSON")
    };
    if let Some(token) = fs::read_to_string(&kept).ok().and_then(|text| token_of(&text, &of)) {
        let link = text(&ask(&["link", "--email", EMAIL])?, "link")?;
        return Ok(Operator { token, link });
    }
    let answer = ask(&["add", "--email", EMAIL, "--role", "admin"])?;
    let (token, link) = (text(&answer, "token")?, text(&answer, "link")?);
    secrets::write(&kept, &json!({ "database": of, "token": token }).to_string())?;
    Ok(Operator { token, link })
}

fn text(answer: &Value, name: &str) -> anyhow::Result<String> {
    let text = answer.get(name).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("`billing operator` shows no {name}"))
}

fn token_of(kept: &str, database: &str) -> Option<String> {
    let kept: Value = serde_json::from_str(kept).ok()?;
    let same = kept.get("database")?.as_str()? == database;
    same.then(|| kept.get("token")?.as_str().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_only_used_for_the_database_it_was_made_in() {
        let kept = r#"{"database":"postgres://h/a","token":"t"}"#;
        assert_eq!(token_of(kept, "postgres://h/a").as_deref(), Some("t"));
        assert_eq!(token_of(kept, "postgres://h/b"), None);
        assert_eq!(token_of("", "postgres://h/a"), None);
    }
}
