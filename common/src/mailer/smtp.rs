//! One conversation with a mail server, command by command, so that it is known which command was refused.
//!
//! The answer to `RCPT TO` and to the message is about this e-mail. Every earlier failure is about the connection, the
//! login or the sender, and says nothing about the e-mail.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};

use super::route::{SmtpServer, TlsMode};
use super::send_error::SendError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// For connection, TLS and login together, and again for the e-mail itself. Below the time limit of the job.
const STEP_TIMEOUT: Duration = Duration::from_secs(45);
const MAX_IDLE: usize = 8;
/// Servers close an idle connection after minutes; a young one is nearly always still open.
const IDLE_TIME: Duration = Duration::from_secs(20);

pub(super) struct Client {
    server: SmtpServer,
    /// Connections that have sent an e-mail and may send the next one.
    idle: Mutex<Vec<(Instant, AsyncSmtpConnection)>>,
}

impl Client {
    pub(super) fn new(server: SmtpServer) -> Self {
        Self { server, idle: Mutex::default() }
    }

    pub(super) async fn send(&self, envelope: &Envelope, message: &[u8]) -> Result<(), SendError> {
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let sending = in_time("the e-mail", deliver(&mut connection, envelope, message)).await;
        match sending {
            Ok(()) => self.keep(connection),
            // The server may be in the middle of anything: a new conversation for the next e-mail.
            Err(_) => drop(tokio::time::timeout(Duration::from_secs(2), connection.abort()).await),
        }
        sending
    }

    pub(super) async fn check(&self, from: &Address) -> Result<String, SendError> {
        let mut connection = self.open().await?;
        let checking = async {
            let mail = Mail::new(Some(from.clone()), Vec::new());
            connection.command(mail).await.map_err(|error| unavailable("MAIL FROM", &error))?;
            connection.command(Rset).await.map_err(|error| unavailable("RSET", &error))
        };
        in_time("MAIL FROM", checking).await?;
        let secured = if connection.is_encrypted() { "with TLS" } else { "without TLS" };
        let login = if self.server.credentials.is_some() { "logged in" } else { "no login" };
        let utf8 = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        drop(connection.quit().await);
        let SmtpServer { host, port, .. } = &self.server;
        let utf8 = if utf8 { "" } else { ", takes no Korean local parts (no SMTPUTF8)" };
        Ok(format!("{host}:{port} {secured}, {login}, takes {from} as sender{utf8}"))
    }

    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (since, mut connection) = self.lock().pop()?;
            if since.elapsed() < IDLE_TIME && connection.test_connected().await {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.lock();
        idle.retain(|(since, _)| since.elapsed() < IDLE_TIME);
        if idle.len() < MAX_IDLE {
            idle.push((Instant::now(), connection));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, AsyncSmtpConnection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, SendError> {
        in_time("connection and login", self.connect()).await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let SmtpServer { host, port, tls, hello_name, credentials } = &self.server;
        let parameters = match tls {
            TlsMode::None => None,
            TlsMode::Required | TlsMode::Implicit => {
                Some(TlsParameters::new(host.clone()).map_err(|error| unavailable("TLS", &error))?)
            }
        };
        let implicit = parameters.clone().filter(|_| *tls == TlsMode::Implicit);
        let to = (host.as_str(), *port);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(to, Some(CONNECT_TIMEOUT), hello_name, implicit, None);
        let mut connection =
            connecting.await.map_err(|error| unavailable(&format!("connection to {host}:{port}"), &error))?;
        if let (TlsMode::Required, Some(parameters)) = (tls, parameters) {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(SendError::Unavailable(format!(
                    "{host}:{port} offers no STARTTLS, and TLS is required (MAIL_URL: ?tls=none for plain text)"
                )));
            }
            let upgrade = connection.starttls(parameters, hello_name).await;
            upgrade.map_err(|error| unavailable("STARTTLS", &error))?;
        }
        if let Some(credentials) = credentials {
            let login = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            login.map_err(|error| unavailable("AUTH", &error))?;
        }
        Ok(connection)
    }
}

async fn deliver(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    message: &[u8],
) -> Result<(), SendError> {
    let parameters = parameters(connection, envelope, message)?;
    let mail = Mail::new(envelope.from().cloned(), parameters);
    connection.command(mail).await.map_err(|error| unavailable("MAIL FROM", &error))?;
    for to in envelope.to() {
        let recipient = Rcpt::new(to.clone(), Vec::new());
        connection.command(recipient).await.map_err(|error| about_recipient(&error))?;
    }
    connection.command(Data).await.map_err(|error| about_email("DATA", &error))?;
    connection.message(message).await.map_err(|error| about_email("the message", &error))?;
    Ok(())
}

fn parameters(
    connection: &AsyncSmtpConnection,
    envelope: &Envelope,
    message: &[u8],
) -> Result<Vec<MailParameter>, SendError> {
    let mut parameters = Vec::new();
    if envelope.to().iter().any(|to| !AsRef::<str>::as_ref(to).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(SendError::Refused(
                "the mail server takes no address with other than ASCII letters before the @ (no SMTPUTF8)"
                    .into(),
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !message.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

fn unavailable(step: &str, error: &Error) -> SendError {
    SendError::Unavailable(format!("{step}: {error}"))
}

/// A 5xx answer to the message is final. No answer at all says nothing.
fn about_email(step: &str, error: &Error) -> SendError {
    let text = format!("{step}: {error}");
    if error.is_permanent() {
        SendError::Refused(text)
    } else if error.is_transient() {
        SendError::Postponed(text)
    } else {
        SendError::Unavailable(text)
    }
}

/// As [`about_email`], except for refusals of us in the recipient's place: every recipient would be refused likewise.
fn about_recipient(error: &Error) -> SendError {
    let code = error.status().map(u16::from).unwrap_or_default();
    let is_about_us = match code {
        // Bad sequence, unknown command, login needed or refused, encryption needed.
        500 | 502 | 503 | 523 | 524 | 530 | 534 | 535 | 538 => true,
        // "Relaying denied" and other policies (RFC 3463, X.7.z). Servers write it after the basic code.
        550..=554 => has_enhanced_code(error, "5.7."),
        _ => false,
    };
    match about_email("RCPT TO", error) {
        SendError::Refused(text) if is_about_us => SendError::Postponed(text),
        other => other,
    }
}

fn has_enhanced_code(error: &Error, class: &str) -> bool {
    let text = error.to_string();
    text.split(|sign: char| sign.is_whitespace() || sign == '#').any(|word| word.starts_with(class))
}

async fn in_time<T>(what: &str, step: impl Future<Output = Result<T, SendError>>) -> Result<T, SendError> {
    tokio::time::timeout(STEP_TIMEOUT, step).await.unwrap_or_else(|_| {
        Err(SendError::Unavailable(format!("{what} took longer than {} s", STEP_TIMEOUT.as_secs())))
    })
}
