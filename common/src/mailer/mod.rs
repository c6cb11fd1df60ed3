//! Sends e-mails: over SMTP, or into a folder as `.eml` files. The worker sends; `billing doctor` only checks the server.

mod address;
mod route;
mod send_error;
mod smtp;

use chrono::{DateTime, Utc};
use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncFileTransport, AsyncTransport, Message, Tokio1Executor};

pub use address::{BadAddress, mailbox, sender};
pub use route::{BadMailUrl, MailRoute, SmtpServer, TlsMode};
pub use send_error::SendError;

/// An e-mail as it goes out.
#[derive(Debug, Clone)]
pub struct OutgoingEmail {
    pub to_address: String,
    pub subject: String,
    pub body_html: String,
    pub body_text: String,
    /// Without angle brackets. The same at each try, so that a copy sent twice is recognisable.
    pub message_id: String,
    pub created_at: DateTime<Utc>,
}

/// Sends e-mails over one route in one sender's name.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
}

enum Transport {
    Smtp(smtp::Client),
    Folder(AsyncFileTransport<Tokio1Executor>),
}

impl Mailer {
    pub fn new(route: MailRoute, from: Mailbox) -> Self {
        let transport = match route {
            MailRoute::Smtp(server) => Transport::Smtp(smtp::Client::new(server)),
            MailRoute::Folder(folder) => Transport::Folder(AsyncFileTransport::new(folder)),
        };
        Self { transport, from }
    }

    pub async fn send(&self, email: &OutgoingEmail) -> Result<(), SendError> {
        let message = self.compose(email)?;
        match &self.transport {
            Transport::Smtp(client) => client.send(message.envelope(), &message.formatted()).await,
            Transport::Folder(folder) => match folder.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => Err(SendError::Unavailable(error.to_string())),
            },
        }
    }

    /// Talks to the server as far as the sender's address, and sends nothing. Returns what was found, for people.
    pub async fn check(&self) -> Result<String, SendError> {
        match &self.transport {
            Transport::Smtp(client) => client.check(&self.from.email).await,
            Transport::Folder(_) => Ok("e-mails are written into a folder".to_owned()),
        }
    }

    fn compose(&self, email: &OutgoingEmail) -> Result<Message, SendError> {
        let refused = |error: &dyn std::fmt::Display| SendError::Refused(error.to_string());
        let to = mailbox(&email.to_address).map_err(|error| refused(&error))?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&email.subject)
            .date(email.created_at.into())
            .message_id(Some(format!("<{}>", email.message_id)))
            .multipart(MultiPart::alternative_plain_html(email.body_text.clone(), email.body_html.clone()))
            .map_err(|error| refused(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email::is_address;

    fn email(to: &str) -> OutgoingEmail {
        OutgoingEmail {
            to_address: to.to_owned(),
            subject: "집체크 결제 완료".to_owned(),
            body_html: "<p>".to_owned(),
            body_text: "본문".to_owned(),
            message_id: "7@zip.example".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn mailer(brand: &str) -> Mailer {
        let from = sender(Some(brand), "billing@another.example").unwrap();
        Mailer::new(MailRoute::Folder(std::env::temp_dir()), from)
    }

    fn composed(brand: &str, to: &str) -> String {
        String::from_utf8(mailer(brand).compose(&email(to)).unwrap().formatted()).unwrap()
    }

    #[test]
    fn the_message_id_is_the_rows() {
        let text = composed("집체크", "user@example.com");
        assert!(text.lines().any(|line| line.trim_end() == "Message-ID: <7@zip.example>"), "{text}");
    }

    #[test]
    fn any_brand_name_becomes_one_header_line() {
        for brand in
            ["(주)집체크", "A, B & \"C\"", "<x@y>", "Kim\r\nBcc: all@zip.example", "집체크 🏠", ";:@[]"]
        {
            let text = composed(brand, "user@example.com");
            let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
            let from: Vec<_> = head.lines().filter(|line| line.starts_with("From: ")).collect();
            assert_eq!(from.len(), 1, "{text}");
            assert!(from[0].ends_with("<billing@another.example>"), "{text}");
            assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{text}");
        }
    }

    #[test]
    fn a_korean_domain_is_written_as_punycode() {
        let mailer = mailer("집체크");
        let message = mailer.compose(&email("user@한글.kr")).unwrap();
        assert_eq!(message.envelope().to()[0].to_string(), "user@xn--bj0bj06e.kr");
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.is_ascii() && text.contains("To: user@xn--bj0bj06e.kr"), "{text}");
    }

    #[test]
    fn an_accepted_address_can_be_written_to() {
        let mailer = mailer("집체크");
        for right in ["user@example.com", "u.s+er@mail.example.co.kr", "한글@example.com", "user@한글.kr"]
        {
            assert!(is_address(right) && mailer.compose(&email(right)).is_ok(), "{right}");
        }
        let wrong = ["a..b@example.com", "user", "@example.com", "Kim <user@example.com>", "a b@example.com"];
        for wrong in wrong.into_iter().chain(["user@xn--a.kr", "user@한\u{200d}글.kr"]) {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
