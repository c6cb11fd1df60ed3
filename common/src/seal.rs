//! Billing keys at rest: sealed with AES-256-GCM-SIV under a named key, bound to the row they belong to.

use aes_gcm_siv::{
    Aes256GcmSiv, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::TryRng;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

const NONCE_BYTES: usize = 12;

/// The keys of `BILLING_KEY_ENCRYPTION_KEYS`: the first seals, all open.
pub struct Sealer {
    keys: Vec<(String, Aes256GcmSiv)>,
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("write BILLING_KEY_ENCRYPTION_KEYS as id:base64[,id:base64…], each of 32 bytes")]
    BadKeys,
    #[error("the key id of a sealed billing key is not among BILLING_KEY_ENCRYPTION_KEYS")]
    UnknownKey,
    #[error("a sealed billing key does not open: it was altered, or belongs to another subscription")]
    DoesNotOpen,
    #[error("the billing key could not be sealed")]
    DoesNotSeal,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

impl Sealer {
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let keys = text.split(',').map(parse_key).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// Seals a billing key for one subscription: `id:base64(nonce, ciphertext)`.
    pub fn seal(&self, billing_key: &SecretString, subscription_id: Uuid) -> Result<String, SealError> {
        let (id, cipher) = self.keys.first().ok_or(SealError::BadKeys)?;
        let mut nonce = [0u8; NONCE_BYTES];
        rand::rngs::SysRng.try_fill_bytes(&mut nonce).map_err(|_| SealError::DoesNotSeal)?;
        let aad = aad(subscription_id);
        let payload = Payload { msg: billing_key.expose_secret().as_bytes(), aad: aad.as_bytes() };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::DoesNotSeal)?;
        Ok(format!("{id}:{}", STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    pub fn open(&self, sealed: &str, subscription_id: Uuid) -> Result<SecretString, SealError> {
        let (id, body) = sealed.split_once(':').ok_or(SealError::DoesNotOpen)?;
        let (_, cipher) = self.keys.iter().find(|(known, _)| known == id).ok_or(SealError::UnknownKey)?;
        let bytes = STANDARD.decode(body).map_err(|_| SealError::DoesNotOpen)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::DoesNotOpen)?;
        let aad = aad(subscription_id);
        let opened = cipher
            .decrypt(&Nonce::from(*nonce), Payload { msg, aad: aad.as_bytes() })
            .map_err(|_| SealError::DoesNotOpen)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| SealError::DoesNotOpen)
    }
}

fn parse_key(entry: &str) -> Result<(String, Aes256GcmSiv), SealError> {
    let (id, key) = entry.trim().split_once(':').ok_or(SealError::BadKeys)?;
    let bytes = STANDARD.decode(key).map_err(|_| SealError::BadKeys)?;
    let cipher = Aes256GcmSiv::new_from_slice(&bytes).map_err(|_| SealError::BadKeys)?;
    if id.is_empty() { Err(SealError::BadKeys) } else { Ok((id.to_owned(), cipher)) }
}

/// Binds the ciphertext to its table, column and row: copied to another row it does not open.
fn aad(subscription_id: Uuid) -> String {
    format!("subscriptions.billing_key:{subscription_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(ids: &[(&str, u8)]) -> Sealer {
        let keys: Vec<_> =
            ids.iter().map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; 32]))).collect();
        Sealer::parse(&keys.join(",")).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_for_its_own_subscription_only_and_never_looks_the_same_twice() {
        let (sealer, own, other) = (sealer(&[("k1", 1)]), Uuid::from_u128(1), Uuid::from_u128(2));
        let secret = SecretString::from("Z_t5vOvQxrj4499PeiJcjen28=");
        let kept = sealer.seal(&secret, own).unwrap();
        assert_ne!(kept, sealer.seal(&secret, own).unwrap());
        assert!(!kept.contains(secret.expose_secret()));
        assert_eq!(sealer.open(&kept, own).unwrap().expose_secret(), secret.expose_secret());
        assert!(matches!(sealer.open(&kept, other), Err(SealError::DoesNotOpen)));
    }

    #[test]
    fn after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() {
        let secret = SecretString::from("key");
        let old = sealer(&[("k1", 1)]).seal(&secret, Uuid::nil()).unwrap();
        let rotated = sealer(&[("k2", 2), ("k1", 1)]);
        assert!(rotated.open(&old, Uuid::nil()).is_ok());
        assert!(rotated.seal(&secret, Uuid::nil()).unwrap().starts_with("k2:"));
        assert!(matches!(sealer(&[("k2", 2)]).open(&old, Uuid::nil()), Err(SealError::UnknownKey)));
    }

    #[test]
    fn a_key_that_is_not_32_bytes_is_refused() {
        for text in ["", "k1", "k1:", "k1:AAAA", ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
            assert!(matches!(Sealer::parse(text), Err(SealError::BadKeys)), "{text}");
        }
    }
}
