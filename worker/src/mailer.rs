//! Sends e-mails: over SMTP, or into a folder as `.eml` files.

use lettre::{
    Address, AsyncFileTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
};
use url::Url;

use common::store::emails::QueuedEmail;

/// Where mail goes, by `MAIL_URL`.
pub enum Route {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(AsyncFileTransport<Tokio1Executor>),
}

pub struct Mailer {
    route: Route,
    from: Mailbox,
}

/// Why an e-mail did not go out.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// This message will never be taken: a bad address, a permanent SMTP refusal.
    #[error("refused: {0}")]
    Refused(String),
    /// The server could not be reached or asked to come back.
    #[error("away: {0}")]
    Away(String),
}

/// What is wrong with `MAIL_URL`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadMailConfig(String);

impl Route {
    pub fn to(url: &Url) -> Result<Self, BadMailConfig> {
        Ok(match url.scheme() {
            "smtp" | "smtps" => Self::Smtp(
                AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
                    .map_err(|error| BadMailConfig(error.to_string()))?
                    .build(),
            ),
            "file" => {
                let folder = url
                    .to_file_path()
                    .map_err(|()| BadMailConfig("file:// needs an absolute folder".into()))?;
                std::fs::create_dir_all(&folder).map_err(|error| BadMailConfig(error.to_string()))?;
                Self::Folder(AsyncFileTransport::new(folder))
            }
            _ => return Err(BadMailConfig("use smtp://, smtps:// or file:///folder".into())),
        })
    }
}

impl Mailer {
    pub fn new(route: Route, from: Mailbox) -> Self {
        Self { route, from }
    }

    pub async fn send(&self, email: &QueuedEmail) -> Result<(), MailError> {
        let message = self.compose(email)?;
        match &self.route {
            Route::Smtp(smtp) => match smtp.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(MailError::Refused(error.to_string())),
                Err(error) => Err(MailError::Away(error.to_string())),
            },
            Route::Folder(folder) => {
                folder.send(message).await.map_err(|error| MailError::Away(error.to_string())).map(|_| ())
            }
        }
    }

    fn compose(&self, email: &QueuedEmail) -> Result<Message, MailError> {
        let to =
            email.to_address.parse::<Address>().map_err(|error| MailError::Refused(error.to_string()))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&email.subject)
            .date(email.created_at.into())
            .message_id(Some(format!("<{}>", email.message_id)))
            .multipart(MultiPart::alternative_plain_html(email.body_text.clone(), email.body_html.clone()))
            .map_err(|error| MailError::Refused(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use common::email::is_address;
    use uuid::Uuid;

    use super::*;

    fn email(to: &str) -> QueuedEmail {
        QueuedEmail {
            id: Uuid::from_u128(7),
            kind: "payment_succeeded".to_owned(),
            unique_key: "payment_succeeded:1".to_owned(),
            subscription_id: Uuid::from_u128(1),
            to_address: to.to_owned(),
            subject: "집체크 결제 완료".to_owned(),
            body_html: "<p>".to_owned(),
            body_text: "본문".to_owned(),
            message_id: "7@zip.example".to_owned(),
            send_before: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn mailer() -> Mailer {
        let folder = std::env::temp_dir();
        let route = Route::to(&Url::from_directory_path(folder).unwrap()).unwrap();
        Mailer::new(route, "billing@another.example".parse().unwrap())
    }

    #[test]
    fn the_message_id_is_the_rows_whoever_sends_it() {
        let message = mailer().compose(&email("user@example.com")).unwrap().formatted();
        let text = String::from_utf8(message).unwrap();
        assert!(text.lines().any(|line| line.trim_end() == "Message-ID: <7@zip.example>"), "{text}");
    }

    #[test]
    fn what_is_taken_in_as_an_address_can_be_written_to() {
        for right in ["user@example.com", "u.s+er@mail.example.co.kr", "한글@example.com", "user@한글.kr"]
        {
            assert!(is_address(right) && mailer().compose(&email(right)).is_ok(), "{right}");
        }
        for wrong in ["a..b@example.com", "user", "@example.com", "Kim <user@example.com>", "a b@example.com"]
        {
            assert!(!is_address(wrong) && mailer().compose(&email(wrong)).is_err(), "{wrong}");
        }
    }
}
