//! Reads the e-mails that went out, from the folder they went to.

use std::path::Path;

use mail_parser::MessageParser;

#[derive(Debug, Clone)]
pub(crate) struct ReceivedEmail {
    pub(crate) subject: String,
    pub(crate) text: String,
    sent_at: i64,
}

/// All e-mails in the folder, oldest first.
pub(crate) fn read_emails(folder: &Path) -> Vec<ReceivedEmail> {
    let mut emails: Vec<ReceivedEmail> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            (path.extension()? == "eml").then(|| read_letter(&path))
        })
        .collect();
    emails.sort_by_key(|email| email.sent_at);
    emails
}

fn read_letter(path: &Path) -> ReceivedEmail {
    let bytes = std::fs::read(path).unwrap();
    let message = MessageParser::default().parse(&bytes).unwrap();
    ReceivedEmail {
        subject: message.subject().unwrap().to_owned(),
        text: message.body_text(0).unwrap().into_owned(),
        sent_at: message.date().unwrap().to_timestamp(),
    }
}
