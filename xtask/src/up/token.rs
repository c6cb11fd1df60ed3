//! A customer's JWT (HS256, RFC 7515), signed here so that the first request needs no login service.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

/// The one customer whose token is printed; users need not exist beforehand.
pub(crate) const CUSTOMER: &str = "0192f0c1-5c00-7000-8000-000000000001";

/// 1 January 2100, in seconds since 1970: the test clock may be moved by decades.
const EXPIRES: u64 = 4_102_444_800;

pub(crate) fn customer(secret: &str, audience: Option<&str>) -> anyhow::Result<String> {
    let mut claims = json!({ "sub": CUSTOMER, "exp": EXPIRES });
    if let (Some(audience), Some(claims)) = (audience, claims.as_object_mut()) {
        claims.insert("aud".to_owned(), audience.into());
    }
    sign(secret.as_bytes(), r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

fn sign(secret: &[u8], header: &str, claims: &str) -> anyhow::Result<String> {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret).context("AUTH_JWT_SECRET cannot be used as a key")?;
    mac.update(signed.as_bytes());
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        // RFC 7515, appendix A.1.
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
        let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let token = sign(&key, header, claims).unwrap();
        assert!(token.ends_with(".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "{token}");
    }

    #[test]
    fn a_customers_token_names_the_audience_only_where_there_is_one() {
        let claims = |audience| {
            let token = customer("secret", audience).unwrap();
            let part = token.split('.').nth(1).unwrap().to_owned();
            String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert!(claims(Some("billing")).contains(r#""aud":"billing""#));
        assert!(!claims(None).contains("aud"));
    }
}
