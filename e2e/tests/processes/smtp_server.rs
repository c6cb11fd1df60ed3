//! A small mail server: speaks SMTP, keeps every message, answers each command as a test says, goes away and comes back.

use std::{
    collections::HashMap,
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
    state: Arc<Mutex<State>>,
    /// Empty while the server is away. Dropping it ends all conversations.
    serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    messages: Vec<String>,
    /// The answer to a command, instead of yes. `CONNECT` is the greeting, `.` the end of the message.
    answers: HashMap<&'static str, &'static str>,
    /// What `EHLO` lists besides `8BITMIME`.
    extensions: Vec<&'static str>,
    /// Every line that clients sent, except the messages.
    commands: Vec<String>,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, state: Arc::default(), serving: JoinSet::new() };
        server.serve(listener);
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub(crate) fn url_with_password(&self) -> String {
        format!("smtp://user:secret@{}", self.address)
    }

    pub(crate) async fn go_away(&mut self) {
        self.serving.shutdown().await;
    }

    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// From now on `command` is answered so; `None` is yes.
    pub(crate) fn answer(&self, command: &'static str, answer: Option<&'static str>) {
        let answers = &mut self.state.lock().unwrap().answers;
        match answer {
            Some(answer) => answers.insert(command, answer),
            None => answers.remove(command),
        };
    }

    pub(crate) fn offer(&self, extensions: &[&'static str]) {
        self.state.lock().unwrap().extensions = extensions.to_vec();
    }

    /// How often a command was sent.
    pub(crate) fn count(&self, command: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.commands.iter().filter(|line| line.starts_with(command)).count()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }

    /// Message-ID and subject of everything that was taken on, oldest first.
    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap();
        let parsed = state.messages.iter().map(|raw| MessageParser::default().parse(raw.as_bytes()).unwrap());
        parsed
            .map(|mail| (mail.message_id().unwrap().to_owned(), mail.subject().unwrap().to_owned()))
            .collect()
    }

    /// The sender's name and address of the newest message.
    pub(crate) fn sender(&self) -> (Option<String>, String) {
        let state = self.state.lock().unwrap();
        let mail = MessageParser::default().parse(state.messages.last().unwrap().as_bytes()).unwrap();
        let from = mail.from().unwrap().first().unwrap();
        (from.name().map(str::to_owned), from.address().unwrap().to_owned())
    }

    fn serve(&mut self, listener: TcpListener) {
        let state = self.state.clone();
        self.serving.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                conversations.spawn(converse(stream, state.clone()));
            }
        });
    }
}

async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).lines();
    let mut answer = answer_to(&state, "CONNECT");
    loop {
        let is_over = ["221", "421", "554 no service"].iter().any(|end| answer.starts_with(end));
        if writing.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() || is_over {
            return;
        }
        let Ok(Some(line)) = lines.next_line().await else { return };
        state.lock().unwrap().commands.push(line.clone());
        let command = line.split([' ', ':']).next().unwrap();
        answer = answer_to(&state, command);
        if command == "DATA" && answer.starts_with("354") {
            writing.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            let mut message = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if line == "." {
                    break;
                }
                message.push_str(line.strip_prefix('.').unwrap_or(&line));
                message.push_str("\r\n");
            }
            answer = answer_to(&state, ".");
            if answer.starts_with('2') {
                state.lock().unwrap().messages.push(message);
            }
        }
    }
}

fn answer_to(state: &Mutex<State>, command: &str) -> String {
    let state = state.lock().unwrap();
    if let Some(scripted) = state.answers.get(command) {
        return (*scripted).to_owned();
    }
    match command {
        "CONNECT" => "220 ready".to_owned(),
        "EHLO" => {
            let extensions = state.extensions.iter().map(|name| format!("250-{name}\r\n"));
            format!("250-test\r\n{}250 8BITMIME", extensions.collect::<String>())
        }
        "AUTH" => "235 welcome".to_owned(),
        "DATA" => "354 go on".to_owned(),
        "QUIT" => "221 bye".to_owned(),
        _ => "250 yes".to_owned(),
    }
}
