//! Secrets at rest: sealed with AES-256-GCM-SIV under a named key, and bound to the row they belong to. Billing keys are
//! found again by a keyed fingerprint.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::TryRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

const NONCE_BYTES: usize = 12;

/// The keys of `BILLING_KEY_ENCRYPTION_KEYS`, or the console's of `CONSOLE_TOTP_KEYS`: the first seals, all open.
pub struct Sealer {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    cipher: Aes256GcmSiv,
    /// Keyed by a key derived from the sealing key, so that neither use tells anything about the other.
    fingerprint: Hmac<Sha256>,
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("write the keys as id:base64[,id:base64…], each of 32 bytes")]
    BadKeys,
    #[error("the key id {0} is there twice: which of the two opens what it sealed?")]
    SameIdTwice(String),
    #[error("the key id of a sealed secret is not among the keys that are set")]
    UnknownKey,
    #[error("a sealed secret does not open: it was altered, or belongs to another row")]
    DoesNotOpen,
    #[error("the secret could not be sealed")]
    DoesNotSeal,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl Sealer {
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let mut keys: Vec<Key> = Vec::new();
        for entry in text.split(',') {
            let key = parse_key(entry)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(SealError::SameIdTwice(key.id));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// Seals a billing key for one subscription: `id:base64(nonce, ciphertext).fingerprint`.
    pub fn seal(&self, billing_key: &SecretString, subscription_id: Uuid) -> Result<String, SealError> {
        let key = self.keys.first().ok_or(SealError::BadKeys)?;
        let sealed = key.seal(billing_key, &billing_key_of(subscription_id))?;
        Ok(format!("{sealed}.{}", taken(&key.fingerprint, billing_key)))
    }

    /// Seals an operator's secret of one-time codes: `id:base64(nonce, ciphertext)`.
    pub fn seal_totp(&self, secret: &SecretString, operator_id: Uuid) -> Result<String, SealError> {
        let key = self.keys.first().ok_or(SealError::BadKeys)?;
        key.seal(secret, &totp_secret_of(operator_id))
    }

    pub fn open_totp(&self, sealed: &str, operator_id: Uuid) -> Result<SecretString, SealError> {
        self.open_bound(sealed, &totp_secret_of(operator_id))
    }

    /// What the sealed forms of this billing key end in, whichever of the keys sealed them.
    pub fn fingerprints(&self, billing_key: &SecretString) -> Vec<String> {
        self.keys.iter().map(|key| taken(&key.fingerprint, billing_key)).collect()
    }

    pub fn open(&self, sealed: &str, subscription_id: Uuid) -> Result<SecretString, SealError> {
        self.open_bound(sealed, &billing_key_of(subscription_id))
    }

    fn open_bound(&self, sealed: &str, row: &str) -> Result<SecretString, SealError> {
        let (id, body) = sealed.split_once(':').ok_or(SealError::DoesNotOpen)?;
        let body = body.split_once('.').map_or(body, |(body, _fingerprint)| body);
        let Key { cipher, .. } = self.keys.iter().find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
        let bytes = STANDARD.decode(body).map_err(|_| SealError::DoesNotOpen)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::DoesNotOpen)?;
        let opened = cipher
            .decrypt(&Nonce::from(*nonce), Payload { msg, aad: row.as_bytes() })
            .map_err(|_| SealError::DoesNotOpen)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| SealError::DoesNotOpen)
    }
}

impl Key {
    fn seal(&self, secret: &SecretString, row: &str) -> Result<String, SealError> {
        let mut nonce = [0u8; NONCE_BYTES];
        rand::rngs::SysRng.try_fill_bytes(&mut nonce).map_err(|_| SealError::DoesNotSeal)?;
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: row.as_bytes() };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::DoesNotSeal)?;
        let body = STANDARD.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{}:{body}", self.id))
    }
}

fn parse_key(entry: &str) -> Result<Key, SealError> {
    let (id, key) = entry.trim().split_once(':').ok_or(SealError::BadKeys)?;
    let bytes = STANDARD.decode(key).map_err(|_| SealError::BadKeys)?;
    let cipher = Aes256GcmSiv::new_from_slice(&bytes).map_err(|_| SealError::BadKeys)?;
    let fingerprint = keyed(&keyed(&bytes)?.chain_update(FINGERPRINTS).finalize().into_bytes())?;
    if id.is_empty() { Err(SealError::BadKeys) } else { Ok(Key { id: id.to_owned(), cipher, fingerprint }) }
}

/// What the derived key is for.
const FINGERPRINTS: &[u8] = b"billing key fingerprints";

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, SealError> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).map_err(|_| SealError::BadKeys)
}

fn taken(fingerprint: &Hmac<Sha256>, billing_key: &SecretString) -> String {
    let mac = fingerprint.clone().chain_update(billing_key.expose_secret().as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Binds the ciphertext to its table, column and row: copied to another row it does not open.
fn billing_key_of(subscription_id: Uuid) -> String {
    format!("subscriptions.billing_key:{subscription_id}")
}

fn totp_secret_of(operator_id: Uuid) -> String {
    format!("operator_totp.secret:{operator_id}")
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
    fn a_sealed_key_opens_for_its_own_subscription_only() {
        let (sealer, own, other) = (sealer(&[("k1", 1)]), Uuid::from_u128(1), Uuid::from_u128(2));
        let secret = SecretString::from("Z_t5vOvQxrj4499PeiJcjen28=");
        let kept = sealer.seal(&secret, own).unwrap();
        assert_ne!(kept, sealer.seal(&secret, own).unwrap());
        assert!(!kept.contains(secret.expose_secret()));
        assert_eq!(sealer.open(&kept, own).unwrap().expose_secret(), secret.expose_secret());
        assert!(matches!(sealer.open(&kept, other), Err(SealError::DoesNotOpen)));
        let of_operator = sealer.seal_totp(&secret, own).unwrap();
        assert_eq!(sealer.open_totp(&of_operator, own).unwrap().expose_secret(), secret.expose_secret());
        assert!(matches!(sealer.open_totp(&of_operator, other), Err(SealError::DoesNotOpen)));
        assert!(matches!(sealer.open(&of_operator, own), Err(SealError::DoesNotOpen)));
    }

    #[test]
    fn after_a_rotation_the_new_key_seals_and_the_old_still_opens() {
        let secret = SecretString::from("key");
        let old = sealer(&[("k1", 1)]).seal(&secret, Uuid::nil()).unwrap();
        let rotated = sealer(&[("k2", 2), ("k1", 1)]);
        assert!(rotated.open(&old, Uuid::nil()).is_ok());
        assert!(rotated.seal(&secret, Uuid::nil()).unwrap().starts_with("k2:"));
        assert!(matches!(sealer(&[("k2", 2)]).open(&old, Uuid::nil()), Err(SealError::UnknownKey)));
    }

    #[test]
    fn a_billing_key_is_found_by_its_fingerprint_after_a_rotation() {
        let secret = SecretString::from("Z_t5vOvQxrj4499PeiJcjen28=");
        let old = sealer(&[("k1", 1)]).seal(&secret, Uuid::nil()).unwrap();
        let is_found = |ids: &[(&str, u8)], key: &SecretString| {
            sealer(ids).fingerprints(key).iter().any(|fingerprint| old.ends_with(&format!(".{fingerprint}")))
        };
        assert!(is_found(&[("k2", 2), ("k1", 1)], &secret));
        assert!(!is_found(&[("k2", 2)], &secret));
        assert!(!is_found(&[("k1", 1)], &SecretString::from("another")));
    }

    #[test]
    fn a_key_id_names_one_key() {
        let (one, other) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let twice = Sealer::parse(&format!("k1:{one},k2:{other},k1:{other}")).unwrap_err();
        assert!(matches!(&twice, SealError::SameIdTwice(id) if id == "k1"), "{twice}");
        assert!(!twice.to_string().contains(&other));
    }

    #[test]
    fn a_key_that_is_not_32_bytes_is_refused() {
        for text in ["", "k1", "k1:", "k1:AAAA", ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
            assert!(matches!(Sealer::parse(text), Err(SealError::BadKeys)), "{text}");
        }
    }
}
