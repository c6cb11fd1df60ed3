//! The accounts that the started system has from the beginning: one operator, and the example customer.

use std::fs;

use anyhow::Context;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::settings::Settings;
use crate::postgres::DatabaseUrl;
use crate::project::Project;
use crate::{process, secrets};

pub(crate) const OPERATOR_EMAIL: &str = "operator@example.com";

/// How the operator of this machine gets in.
pub(crate) struct Operator {
    /// For the API.
    pub(crate) token: String,
    /// Sets the console's password, once.
    pub(crate) link: String,
}

/// The operator's token, which `billing operator add` shows once, so it is kept beside the other secrets; and a new link.
pub(crate) fn ensure_operator(
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
        let link = text(&ask(&["link", "--email", OPERATOR_EMAIL])?, "link")?;
        return Ok(Operator { token, link });
    }
    let answer = ask(&["add", "--email", OPERATOR_EMAIL, "--role", "admin"])?;
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

/// The customer whose token is printed. A user need not exist beforehand.
pub(crate) const CUSTOMER: &str = "0192f0c1-5c00-7000-8000-000000000001";

/// 1 January 2100, in seconds since 1970: the test clock may be advanced by decades.
const EXPIRES: u64 = 4_102_444_800;

/// A token of the example customer, so that the first request needs no login service.
pub(crate) fn customer_token(secret: &str, audience: Option<&str>) -> anyhow::Result<String> {
    let mut claims = json!({ "sub": CUSTOMER, "exp": EXPIRES });
    if let (Some(audience), Some(claims)) = (audience, claims.as_object_mut()) {
        claims.insert("aud".to_owned(), audience.into());
    }
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    #[test]
    fn a_token_is_only_used_for_the_database_it_was_made_in() {
        let kept = r#"{"database":"postgres://h/a","token":"t"}"#;
        assert_eq!(token_of(kept, "postgres://h/a").as_deref(), Some("t"));
        assert_eq!(token_of(kept, "postgres://h/b"), None);
        assert_eq!(token_of("", "postgres://h/a"), None);
    }

    fn claims(token: &str, validation: &Validation) -> Value {
        let key = DecodingKey::from_secret(b"secret");
        jsonwebtoken::decode(token, &key, validation).unwrap().claims
    }

    #[test]
    fn a_token_names_the_audience_only_where_there_is_one() {
        let mut validation = Validation::default();
        assert_eq!(claims(&customer_token("secret", None).unwrap(), &validation).get("aud"), None);
        validation.set_audience(&["billing"]);
        assert_eq!(
            claims(&customer_token("secret", Some("billing")).unwrap(), &validation)["aud"],
            "billing"
        );
    }
}
