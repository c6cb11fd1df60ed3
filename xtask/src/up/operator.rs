//! The one operator that the started system has from the beginning.

use std::fs;

use anyhow::Context;
use serde_json::{Value, json};

use super::settings::Settings;
use super::{billing, secrets};
use crate::postgres::DatabaseUrl;
use crate::process;
use crate::project::Project;

pub(crate) const EMAIL: &str = "operator@example.com";

/// The operator's token. `billing operator add` shows it once, so it is kept beside the other secrets.
pub(crate) fn ensure(
    project: &Project,
    settings: &Settings,
    database: &DatabaseUrl,
) -> anyhow::Result<String> {
    let kept = project.dev()?.join("operator.json");
    // Another server or database has operators of its own.
    let of = database.without_password();
    if let Some(token) = fs::read_to_string(&kept).ok().and_then(|text| token_of(&text, &of)) {
        return Ok(token);
    }
    let mut add = billing(project, settings)?;
    let said = process::output(add.args(["operator", "add", "--email", EMAIL, "--json"]))?;
    let answer: Value =
        serde_json::from_str(&said).context("`billing operator add --json` printed no JSON")?;
    let token =
        answer.get("token").and_then(Value::as_str).context("`billing operator add` shows no token")?;
    secrets::write(&kept, &json!({ "database": of, "token": token }).to_string())?;
    Ok(token.to_owned())
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
