//! Hashes passwords with argon2id, away from the threads that serve and a few at a time: each takes 19 MiB.

use std::{sync::Arc, time::Duration};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const AT_ONCE: usize = 2;
/// A flood of logins must not pile up behind the two.
const MAX_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("too many logins at once")]
    Busy,
    #[error("a password could not be hashed: {0}")]
    Hash(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A new hash, as a PHC string with its own salt and parameters.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let permit = self.permit().await?;
        run(permit, move || {
            let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hash(error.to_string()))
        })
        .await?
    }

    /// Whether the password is the one that was hashed. Without a hash the same work is done, so that how long it takes
    /// does not tell which addresses are operators.
    pub(crate) async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let permit = self.permit().await?;
        run(permit, move || {
            let password = password.expose_secret().as_bytes();
            let Some(hash) = hash else {
                let _ = Argon2::default().hash_password(password);
                return Ok(false);
            };
            let hash = PasswordHash::new(&hash).map_err(|error| PasswordError::Hash(error.to_string()))?;
            Ok(Argon2::default().verify_password(password, &hash).is_ok())
        })
        .await?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        let permit = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.permits).acquire_owned()).await;
        permit.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)
    }
}

/// Reads a form's password. For serde's `deserialize_with`.
pub(super) fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    serde::Deserialize::deserialize(from).map(|text: String| SecretString::from(text))
}

async fn run<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PasswordError> {
    let done = tokio::task::spawn_blocking(move || {
        // Given back when the work is done, also where nobody waits for it any longer.
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| PasswordError::Hash(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_another_is_not() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse battery".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterz".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse battery".into(), None).await.unwrap());
    }
}
