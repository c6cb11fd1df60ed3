//! A mail server of a few lines: speaks SMTP, keeps every message, refuses when told to, and can go away and come back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use mail_parser::MessageParser;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(crate) struct MailServer {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    /// Empty while the server is away. Dropping it ends all conversations.
    serving: JoinSet<()>,
}

#[derive(Default)]
struct Book {
    messages: Vec<String>,
    /// The answer to `RCPT TO`, instead of yes.
    refusal: Option<&'static str>,
    refused: usize,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, book: Arc::default(), serving: JoinSet::new() };
        server.serve(listener);
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub(crate) async fn go_away(&mut self) {
        self.serving.shutdown().await;
    }

    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn refuse(&self, answer: Option<&'static str>) {
        self.book.lock().unwrap().refusal = answer;
    }

    pub(crate) fn refused(&self) -> usize {
        self.book.lock().unwrap().refused
    }

    /// Message-ID and subject of everything that was taken on, oldest first.
    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        let book = self.book.lock().unwrap();
        let parsed = book.messages.iter().map(|raw| MessageParser::default().parse(raw.as_bytes()).unwrap());
        parsed
            .map(|mail| (mail.message_id().unwrap().to_owned(), mail.subject().unwrap().to_owned()))
            .collect()
    }

    fn serve(&mut self, listener: TcpListener) {
        let book = self.book.clone();
        self.serving.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                conversations.spawn(converse(stream, book.clone()));
            }
        });
    }
}

async fn converse(mut stream: TcpStream, book: Arc<Mutex<Book>>) {
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).lines();
    let mut answer = "220 ready".to_owned();
    loop {
        if writing.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() || answer.starts_with("221") {
            return;
        }
        let Ok(Some(line)) = lines.next_line().await else { return };
        answer = match line.split([' ', ':']).next().unwrap() {
            "EHLO" => "250-test\r\n250 8BITMIME".to_owned(),
            "RCPT" => recipient(&book).to_owned(),
            "DATA" => {
                writing.write_all(b"354 go on\r\n").await.unwrap();
                let mut message = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                    message.push_str("\r\n");
                }
                book.lock().unwrap().messages.push(message);
                "250 taken".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 yes".to_owned(),
        };
    }
}

fn recipient(book: &Mutex<Book>) -> &'static str {
    let mut book = book.lock().unwrap();
    book.refused += usize::from(book.refusal.is_some());
    book.refusal.unwrap_or("250 yes")
}
