//! Checks a customer's JWT: signature, algorithm, lifetime, audience, and a UUID for a subject.

mod jwks;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use jwks::Jwks;
pub(crate) use jwks::TokenError;

/// How far the clocks of two machines may differ, in seconds.
const LEEWAY_SECS: u64 = 30;

/// How customers' tokens are checked.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    pub keys: KeySource,
    /// What a token's `aud` must name; not checked when none.
    pub audience: Option<String>,
}

#[derive(Debug, Clone)]
pub enum KeySource {
    /// HS256, with a key shared with the login service.
    Secret(SecretString),
    /// RS256 and ES256, with the keys that the login service publishes (RFC 7517).
    Jwks(Url),
}

pub(crate) struct Auth {
    keys: Keys,
    audience: Option<String>,
}

enum Keys {
    Secret(DecodingKey),
    Jwks(Box<Jwks>),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl Auth {
    pub(crate) fn new(settings: AuthSettings) -> anyhow::Result<Self> {
        let keys = match settings.keys {
            KeySource::Secret(secret) => {
                Keys::Secret(DecodingKey::from_secret(secret.expose_secret().as_bytes()))
            }
            KeySource::Jwks(url) => Keys::Jwks(Box::new(Jwks::new(url)?)),
        };
        Ok(Self { keys, audience: settings.audience })
    }

    /// The user whom the token names.
    pub(crate) async fn user(&self, token: &str) -> Result<Uuid, TokenError> {
        let header = decode_header(token).map_err(|error| TokenError::Invalid(error.to_string()))?;
        // Which algorithms are taken depends on our keys, never on the token alone.
        let allowed: &[Algorithm] = match &self.keys {
            Keys::Secret(_) => &[Algorithm::HS256],
            Keys::Jwks(_) => &[Algorithm::RS256, Algorithm::ES256],
        };
        if !allowed.contains(&header.alg) {
            return Err(TokenError::Invalid(format!("{:?} is not taken", header.alg)));
        }
        let validation = self.validation(header.alg);
        let claims = match &self.keys {
            Keys::Secret(key) => decode::<Claims>(token, key, &validation),
            Keys::Jwks(jwks) => {
                let kid = header.kid.ok_or_else(|| TokenError::Invalid("it names no key".to_owned()))?;
                decode::<Claims>(token, &jwks.key(&kid).await?, &validation)
            }
        };
        let claims = claims.map_err(|error| TokenError::Invalid(format!("{:?}", error.kind())))?.claims;
        Uuid::try_parse(&claims.sub).map_err(|_| TokenError::Invalid("its subject is no UUID".to_owned()))
    }

    /// Lifetimes are judged by the machine's time, not by a test clock: the login service knows nothing of that one.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECS;
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}
