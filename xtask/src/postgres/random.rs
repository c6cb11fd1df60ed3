//! Passwords and keys for this machine, from the randomness of the operating system.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn bytes() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// 256 random bits as 64 characters that need no quoting anywhere.
pub(crate) fn hex_secret() -> anyhow::Result<String> {
    let mut secret = String::new();
    for byte in bytes()? {
        write!(secret, "{byte:02x}")?;
    }
    Ok(secret)
}

/// 256 random bits in standard base64, as keys are written in `BILLING_KEY_ENCRYPTION_KEYS`.
pub(crate) fn base64_key() -> anyhow::Result<String> {
    Ok(STANDARD.encode(bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_bits_and_is_never_the_same() {
        let (first, second) = (hex_secret().unwrap(), hex_secret().unwrap());
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
        assert_eq!(STANDARD.decode(base64_key().unwrap()).unwrap().len(), 32);
    }
}
