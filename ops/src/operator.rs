//! `billing operator add`: an operator with a token of which only the hash is kept.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::{email::is_address, id::new_id, store::operators};
use rand::TryRng;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::{OpsError, session::Session};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an operator, or give a known one a new token; it is printed once
    #[command(after_help = "Example:\n  billing operator add --email kim@example.com")]
    Add {
        #[arg(long)]
        email: String,
        /// Use this token instead of a random one: at least 32 characters
        #[arg(long)]
        token: Option<SecretString>,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        match self {
            Self::Add { email, token } => session.print(&add(&mut conn, &email, token, now).await?),
        }
    }
}

const RANDOM_BYTES: usize = 32;
/// A chosen token shorter than this could be guessed.
const MIN_TOKEN_CHARS: usize = 32;

/// The token is shown this once.
#[derive(Debug, Serialize)]
pub struct OperatorAdded {
    pub email: String,
    #[serde(serialize_with = "exposed")]
    pub token: SecretString,
}

/// Makes an operator, or gives a known one a new token; the old one ends. Without `token` a random one is made.
pub async fn add(
    conn: &mut PgConnection,
    email: &str,
    token: Option<SecretString>,
    now: DateTime<Utc>,
) -> Result<OperatorAdded, OpsError> {
    let email = checked_email(email)?;
    let token = match token {
        Some(given) => checked_token(given)?,
        None => random_token()?,
    };
    let hash = Sha256::digest(token.expose_secret().as_bytes());
    operators::put(conn, new_id(now), &email, &hash).await.map_err(|error| match error.constraint() {
        Some("operators_token_hash_key") => OpsError::Refused("another operator has this token".to_owned()),
        Some(_) | None => error.into(),
    })?;
    Ok(OperatorAdded { email, token })
}

fn checked_email(email: &str) -> Result<String, OpsError> {
    let email = email.trim().to_lowercase();
    if is_address(&email) {
        Ok(email)
    } else {
        Err(OpsError::Usage(format!("{email:?} is no e-mail address")))
    }
}

fn checked_token(token: SecretString) -> Result<SecretString, OpsError> {
    let text = token.expose_secret();
    // What an Authorization header can carry.
    if text.chars().count() >= MIN_TOKEN_CHARS && text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(token)
    } else {
        let rule = format!("at least {MIN_TOKEN_CHARS} ASCII characters without spaces");
        Err(OpsError::Usage(format!("a token has {rule}; without --token a random one is made")))
    }
}

fn random_token() -> Result<SecretString, OpsError> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| OpsError::Refused(format!("the system has no random bytes: {error}")))?;
    Ok(SecretString::from(format!("op_{}", URL_SAFE_NO_PAD.encode(bytes))))
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

impl fmt::Display for OperatorAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operator  {}", self.email)?;
        writeln!(f, "token     {}", self.token.expose_secret())?;
        writeln!(f, "It is shown this once; any token before it no longer works.")
    }
}
