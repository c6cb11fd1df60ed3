//! `billing operator`: who may use the console and the operators' part of the API. Of tokens and links only hashes are kept.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::domain::action::{Action, Target};
use common::domain::operator::Role;
use common::email::is_address;
use common::id::new_id;
use common::secret_token;
use common::store::operators::OperatorRow;
use common::store::{login_failures, operators};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use sqlx::{Connection, PgConnection};
use url::Url;

use crate::OpsError;
use crate::action::{ActionDone, ActionOptions, Author, ReasonOption};
use crate::session::Session;
use crate::text::{Table, seoul, seoul_or_dash};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an operator, or give a known one a new API token and a one-time link for the console
    #[command(after_help = "Example:\n  billing operator add --email kim@example.com --role admin")]
    Add {
        #[command(flatten)]
        new: NewOperator,
        #[command(flatten)]
        reason: ReasonOption,
    },
    /// Give an operator a new one-time link to set a password for the console
    #[command(after_help = "Example:\n  billing operator link --email kim@example.com")]
    Link {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        console: Console,
        #[command(flatten)]
        reason: ReasonOption,
    },
    /// Take an operator's lost second factor away: the password alone suffices until they set up another
    #[command(
        after_help = "Example:\n  billing operator reset-totp --email kim@example.com --reason 'lost the phone'"
    )]
    ResetTotp {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// List the operators
    #[command(after_help = "Example:\n  billing operator list")]
    List,
    /// Take an operator's token, password, second factor and sessions; `operator add` lets them in again
    #[command(after_help = "Example:\n  billing operator disable --email kim@example.com")]
    Disable {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        reason: ReasonOption,
    },
}

#[derive(Debug, Args)]
pub struct NewOperator {
    #[arg(long)]
    pub email: String,
    /// viewer reads, operator acts, admin also turns the switches; operator when a new one has none
    #[arg(long, value_parser = role)]
    pub role: Option<Role>,
    /// Use this API token instead of a random one: at least 32 characters
    #[arg(long)]
    pub token: Option<SecretString>,
    #[command(flatten)]
    pub console: Console,
}

#[derive(Debug, Clone, Args)]
pub struct Console {
    /// Where operators reach billing-api; the one-time link begins with it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub console_url: Url,
}

fn role(text: &str) -> Result<Role, &'static str> {
    text.parse().map_err(|_| "viewer, operator or admin")
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        match self {
            Self::Add { new, reason } => {
                let author = session.author(reason.reason.as_deref(), "made at the command line", now)?;
                session.print(&add(&mut conn, new, &author).await?)
            }
            Self::Link { email, console, reason } => {
                let author = session.author(reason.reason.as_deref(), "asked for a new link", now)?;
                session.print(&link(&mut conn, &email, &console, &author).await?)
            }
            Self::ResetTotp { email, options } => {
                let email = checked_email(&email)?;
                let id = operators::find_id(&mut conn, &email).await?.ok_or_else(|| unknown(&email))?;
                let (acting, action) = (session.acting(now)?, Action::ResetTotp(id));
                if options.dry_run {
                    return session.print(&acting.preview(&mut conn, &action).await?);
                }
                let done = acting.perform(&mut conn, &action, &options.reason(None)?).await?;
                session.print(&ActionDone(done))
            }
            Self::List => session.print(&list(&mut conn).await?),
            Self::Disable { email, reason } => {
                let author = session.author(reason.reason.as_deref(), "disabled at the command line", now)?;
                session.print(&disable(&mut conn, &email, &author).await?)
            }
        }
    }
}

/// A chosen token shorter than this could be guessed.
const MIN_TOKEN_CHARS: usize = 32;
const LINK_HOURS: i32 = 24;

/// Token and link are shown this once.
#[derive(Debug, Serialize)]
pub struct OperatorAdded {
    pub email: String,
    pub role: Role,
    #[serde(serialize_with = "exposed")]
    pub token: SecretString,
    #[serde(flatten)]
    pub link: OneTimeLink,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneTimeLink {
    #[serde(serialize_with = "exposed")]
    pub link: SecretString,
    pub link_expires_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
pub struct LinkMade {
    pub email: String,
    #[serde(flatten)]
    pub link: OneTimeLink,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct OperatorList(pub Vec<OperatorRow>);

#[derive(Debug, Serialize)]
pub struct OperatorDisabled {
    pub email: String,
    pub disabled: bool,
}

/// Makes an operator, or gives a known one a new token and link; the old ones end. Without `token` a random one is made.
pub async fn add(
    conn: &mut PgConnection,
    new: NewOperator,
    author: &Author,
) -> Result<OperatorAdded, OpsError> {
    let email = checked_email(&new.email)?;
    let token = match new.token {
        Some(given) => checked_token(given)?,
        None => random("op_")?,
    };
    let hash = secret_token::hash(token.expose_secret());
    let mut tx = conn.begin().await?;
    let id = operators::find_id(&mut tx, &email).await?.unwrap_or_else(|| new_id(author.now));
    let (role, link) = author
        .change(&mut tx, ("operator.add", Target::Operator(id)), async |tx| {
            let put = operators::put(tx, id, &email, new.role, &hash).await;
            let operator = put.map_err(|error| match error.constraint() {
                Some("operators_token_hash_key") => {
                    OpsError::Refused("another operator has this token".to_owned())
                }
                Some(_) | None => error.into(),
            })?;
            // The change would be on record as another operator's.
            if operator.id != id {
                let made = format!("the operator {email} was made meanwhile: run it again for a new token");
                return Err(OpsError::Refused(made));
            }
            Ok((operator.role, make_link(tx, &email, &new.console).await?))
        })
        .await?;
    tx.commit().await?;
    Ok(OperatorAdded { email, role, token, link })
}

/// Gives an operator a one-time link and lifts a lock-out after failed logins. The password before works until the link
/// is used.
pub async fn link(
    conn: &mut PgConnection,
    email: &str,
    console: &Console,
    author: &Author,
) -> Result<LinkMade, OpsError> {
    let email = checked_email(email)?;
    let mut tx = conn.begin().await?;
    let id = operators::find_id(&mut tx, &email).await?.ok_or_else(|| unknown(&email))?;
    let link = author
        .change(&mut tx, ("operator.link", Target::Operator(id)), async |tx| {
            make_link(tx, &email, console).await
        })
        .await?;
    login_failures::forget(&mut tx, &format!("account:{email}")).await?;
    tx.commit().await?;
    Ok(LinkMade { email, link })
}

pub async fn list(conn: &mut PgConnection) -> Result<OperatorList, OpsError> {
    Ok(OperatorList(operators::list(conn).await?))
}

pub async fn disable(
    conn: &mut PgConnection,
    email: &str,
    author: &Author,
) -> Result<OperatorDisabled, OpsError> {
    let email = checked_email(email)?;
    let mut tx = conn.begin().await?;
    let id = operators::find_id(&mut tx, &email).await?.ok_or_else(|| unknown(&email))?;
    author
        .change(&mut tx, ("operator.disable", Target::Operator(id)), async |tx| {
            Ok(operators::disable(tx, &email).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(OperatorDisabled { email, disabled: true })
}

async fn make_link(conn: &mut PgConnection, email: &str, console: &Console) -> Result<OneTimeLink, OpsError> {
    let token = random("")?;
    let hash = secret_token::hash(token.expose_secret());
    let expires = operators::put_link(conn, email, &hash, LINK_HOURS).await?;
    let base = console.console_url.as_str().trim_end_matches('/');
    let link = SecretString::from(format!("{base}/console/link/{}", token.expose_secret()));
    Ok(OneTimeLink { link, link_expires_at: expires.ok_or_else(|| unknown(email))? })
}

fn unknown(email: &str) -> OpsError {
    OpsError::NotFound(format!("there is no operator {email}; `billing operator list` shows them"))
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

fn random(prefix: &str) -> Result<SecretString, OpsError> {
    secret_token::new_token(prefix).map_err(|error| OpsError::Refused(error.to_string()))
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

impl fmt::Display for OneTimeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "link      {}", self.link.expose_secret())?;
        writeln!(
            f,
            "          sets the password for the console, once, until {}",
            seoul(self.link_expires_at)
        )
    }
}

impl fmt::Display for OperatorAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operator  {}", self.email)?;
        writeln!(f, "role      {}", self.role)?;
        writeln!(f, "token     {}", self.token.expose_secret())?;
        write!(f, "{}", self.link)?;
        writeln!(f, "Both are shown this once; any token or link before them no longer works.")
    }
}

impl fmt::Display for LinkMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operator  {}", self.email)?;
        write!(f, "{}", self.link)
    }
}

impl fmt::Display for OperatorList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["operator", "role", "password", "codes", "token", "last seen", "disabled"]);
        let yes = |is: bool| if is { "yes" } else { "-" }.to_owned();
        for row in &self.0 {
            table.row([
                row.email.clone(),
                row.role.clone(),
                yes(row.has_password),
                yes(row.has_totp),
                yes(row.has_token),
                seoul_or_dash(row.last_seen_at),
                seoul_or_dash(row.disabled_at),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for OperatorDisabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is disabled: no token, no password, no second factor, no session", self.email)
    }
}
