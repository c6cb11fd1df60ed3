//! Where e-mails go, by `MAIL_URL`: an SMTP server and how its connection is secured, or a folder.

use std::{borrow::Cow, net::IpAddr, path::PathBuf};

use lettre::transport::smtp::{authentication::Credentials, extension::ClientId};
use percent_encoding::percent_decode_str;
use url::Url;

const PORT: u16 = 25;
const STARTTLS_PORT: u16 = 587;
const TLS_PORT: u16 = 465;
const FORMS: &str = "use smtp://…, smtps://… or file:///folder";

#[derive(Debug, Clone)]
pub enum MailRoute {
    Smtp(SmtpServer),
    Folder(PathBuf),
}

/// A mail server, and how this program introduces itself to it.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    pub host: String,
    pub port: u16,
    pub tls: TlsMode,
    pub hello_name: ClientId,
    pub credentials: Option<Credentials>,
}

/// How a connection is secured. `?tls=` names one of the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text.
    None,
    /// STARTTLS before anything else, or no e-mail.
    Required,
    /// TLS from the first byte (`smtps://`).
    Implicit,
}

/// What is wrong with `MAIL_URL`. Never contains its password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMailUrl(Cow<'static, str>);

impl MailRoute {
    /// Reads a `MAIL_URL`. Writes nothing; `prepare` makes the folder.
    pub fn parse(text: &str) -> Result<Self, BadMailUrl> {
        let url = Url::parse(text).map_err(|_| BadMailUrl(FORMS.into()))?;
        match url.scheme() {
            "smtp" | "smtps" => Ok(Self::Smtp(server(&url)?)),
            "file" => url
                .to_file_path()
                .map(Self::Folder)
                .map_err(|()| BadMailUrl("file:// needs an absolute folder".into())),
            _ => Err(BadMailUrl(FORMS.into())),
        }
    }

    /// Makes the folder, where e-mails go into one.
    pub fn prepare(&self) -> Result<(), BadMailUrl> {
        match self {
            Self::Smtp(_) => Ok(()),
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| BadMailUrl(error.to_string().into()))
            }
        }
    }
}

fn server(url: &Url) -> Result<SmtpServer, BadMailUrl> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or(BadMailUrl("it names no host".into()))?;
    let credentials = credentials(url)?;
    let tls = tls(url, is_loopback(host), credentials.is_some())?;
    let default_port = match tls {
        TlsMode::None => PORT,
        TlsMode::Required => STARTTLS_PORT,
        TlsMode::Implicit => TLS_PORT,
    };
    let name = url.path().trim_matches('/');
    let hello_name = if name.is_empty() { ClientId::default() } else { ClientId::Domain(name.to_owned()) };
    // An IPv6 address is written in brackets in a URL only.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(SmtpServer { host, port: url.port().unwrap_or(default_port), tls, hello_name, credentials })
}

/// A password goes over TLS, unless it does not leave this machine or the URL itself says otherwise.
fn tls(url: &Url, is_loopback: bool, has_password: bool) -> Result<TlsMode, BadMailUrl> {
    let mut asked = None;
    for (name, value) in url.query_pairs() {
        match (&*name, &*value) {
            ("tls", "none") => asked = Some(TlsMode::None),
            ("tls", "required") => asked = Some(TlsMode::Required),
            _ => return Err(BadMailUrl("after ? it takes tls=required or tls=none".into())),
        }
    }
    match (url.scheme(), asked) {
        ("smtps", Some(TlsMode::None)) => {
            Err(BadMailUrl("smtps:// and tls=none contradict each other".into()))
        }
        ("smtps", _) => Ok(TlsMode::Implicit),
        (_, Some(asked)) => Ok(asked),
        (_, None) if has_password && !is_loopback => Ok(TlsMode::Required),
        (_, None) => Ok(TlsMode::None),
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, BadMailUrl> {
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(BadMailUrl("user or password is not UTF-8: write other characters as %XX".into())),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(BadMailUrl("it has a password and no user".into())),
        (_, None) => Err(BadMailUrl("it has a user and no password".into())),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(text: &str) -> (TlsMode, u16, bool) {
        match MailRoute::parse(text).unwrap() {
            MailRoute::Smtp(server) => (server.tls, server.port, server.credentials.is_some()),
            MailRoute::Folder(folder) => panic!("{text} is the folder {}", folder.display()),
        }
    }

    #[test]
    fn a_password_goes_over_tls() {
        assert_eq!(smtp("smtp://user:pass@mail.example.com"), (TlsMode::Required, 587, true));
        assert_eq!(smtp("smtp://user:pass@mail.example.com:25"), (TlsMode::Required, 25, true));
        assert_eq!(smtp("smtp://user:pass@10.0.0.5:2525"), (TlsMode::Required, 2525, true));
        assert_eq!(smtp("smtps://user:p%40ss@mail.example.com"), (TlsMode::Implicit, 465, true));
        assert_eq!(smtp("smtps://mail.example.com?tls=required").0, TlsMode::Implicit);
    }

    #[test]
    fn a_password_in_clear_is_asked_for_or_stays_here() {
        assert_eq!(smtp("smtp://user:pass@mail.example.com?tls=none"), (TlsMode::None, 25, true));
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(smtp(&format!("smtp://user:pass@{here}:1025")), (TlsMode::None, 1025, true));
            assert_eq!(smtp(&format!("smtp://user:pass@{here}?tls=required")).0, TlsMode::Required);
        }
        assert_eq!(smtp("smtp://mail:1025"), (TlsMode::None, 1025, false));
        assert_eq!(smtp("smtp://mail.example.com?tls=required"), (TlsMode::Required, 587, false));
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        for wrong in [
            "nonsense",
            "pigeon://loft",
            "smtp://",
            "smtp://user@mail.example.com",
            "smtp://:secret@mail.example.com",
            "smtp://user:secret@mail.example.com?tls=maybe",
            "smtp://user:secret@mail.example.com?starttls=1",
            "smtps://user:secret@mail.example.com?tls=none",
            "smtp://user:secret%ff@mail.example.com",
            "file://host/folder",
        ] {
            let error = MailRoute::parse(wrong).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{wrong}: {error}");
        }
    }
}
