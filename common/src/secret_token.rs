//! Secret tokens of 256 random bits: API tokens, sessions, one-time links. Only their SHA-256 is kept.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::TryRng;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

const RANDOM_BYTES: usize = 32;

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes: {0}")]
pub struct NoRandomBytes(String);

/// A new token in characters that a URL, a cookie and a header can carry.
pub fn new_token(prefix: &str) -> Result<SecretString, NoRandomBytes> {
    let bytes: [u8; RANDOM_BYTES] = random_bytes()?;
    Ok(SecretString::from(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// Random bytes of the operating system.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomBytes> {
    let mut bytes = [0_u8; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| NoRandomBytes(error.to_string()))?;
    Ok(bytes)
}

/// What is kept of a token. No salt and no slow hash: 256 random bits cannot be guessed.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn tokens_differ_and_carry_256_bits() {
        let (a, b) = (new_token("op_").unwrap(), new_token("op_").unwrap());
        assert_ne!(a.expose_secret(), b.expose_secret());
        assert_eq!(a.expose_secret().len(), 46);
        assert_ne!(hash(a.expose_secret()), hash(b.expose_secret()));
    }
}
