//! A token for the example customer, so that the first request needs no login service.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

/// The customer whose token is printed. A user need not exist beforehand.
pub(crate) const CUSTOMER: &str = "0192f0c1-5c00-7000-8000-000000000001";

/// 1 January 2100, in seconds since 1970: the test clock may be advanced by decades.
const EXPIRES: u64 = 4_102_444_800;

pub(crate) fn customer(secret: &str, audience: Option<&str>) -> anyhow::Result<String> {
    let mut claims = json!({ "sub": CUSTOMER, "exp": EXPIRES });
    if let (Some(audience), Some(claims)) = (audience, claims.as_object_mut()) {
        claims.insert("aud".to_owned(), audience.into());
    }
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    use super::*;

    fn claims(token: &str, validation: &Validation) -> Value {
        let key = DecodingKey::from_secret(b"secret");
        jsonwebtoken::decode(token, &key, validation).unwrap().claims
    }

    #[test]
    fn a_token_names_the_audience_only_where_there_is_one() {
        let mut validation = Validation::default();
        assert_eq!(claims(&customer("secret", None).unwrap(), &validation).get("aud"), None);
        validation.set_audience(&["billing"]);
        assert_eq!(claims(&customer("secret", Some("billing")).unwrap(), &validation)["aud"], "billing");
    }
}
