//! A small mail server: speaks SMTP, keeps every message, answers each command as a test says, goes away and comes back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mail_parser::MessageParser;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

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
    /// Every line that clients sent, except the messages, and whether it came over TLS.
    commands: Vec<(bool, String)>,
    /// The server's certificate and key, where it can speak TLS.
    tls: Option<TlsAcceptor>,
    /// TLS from the first byte.
    is_implicit: bool,
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
        state.commands.iter().filter(|(_, line)| line.starts_with(command)).count()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The first words of the commands that came in plain text.
    pub(crate) fn plain_commands(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let plain = state.commands.iter().filter(|(is_secured, _)| !is_secured);
        plain.map(|(_, line)| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// From now on the server speaks TLS, under a certificate of its own making. Returns the certificate.
    pub(crate) fn speak_tls(&self, is_implicit: bool) -> String {
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let mut state = self.state.lock().unwrap();
        state.tls = Some(TlsAcceptor::from(Arc::new(config)));
        state.is_implicit = is_implicit;
        own.cert.pem()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) {
    let (tls, is_implicit) = {
        let state = state.lock().unwrap();
        (state.tls.clone(), state.is_implicit)
    };
    let plain = if is_implicit { Some(stream) } else { talk(stream, &state, Some("CONNECT")).await };
    let (Some(plain), Some(tls)) = (plain, tls) else { return };
    // A client that does not trust the certificate says nothing more.
    let Ok(secured) = tls.accept(plain).await else { return };
    talk(secured, &state, is_implicit.then_some("CONNECT")).await;
}

/// Answers command by command. Returns the connection where the client begins TLS.
async fn talk<Stream>(stream: Stream, state: &Mutex<State>, greeting: Option<&str>) -> Option<Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    let is_secured = std::any::type_name::<Stream>().contains("TlsStream");
    let mut stream = BufReader::new(stream);
    let mut answer = greeting.map(|greeting| answer_to(state, greeting));
    loop {
        if let Some(answer) = &answer {
            let is_over = ["221", "421", "554 no service"].iter().any(|end| answer.starts_with(end));
            if say(&mut stream, answer).await.is_err() || is_over {
                return None;
            }
        }
        let line = hear(&mut stream).await?;
        state.lock().unwrap().commands.push((is_secured, line.clone()));
        let command = line.split([' ', ':']).next().unwrap();
        let said = answer_to(state, command);
        if command == "STARTTLS" && said.starts_with("220") {
            say(&mut stream, &said).await.ok()?;
            return Some(stream.into_inner());
        }
        answer = Some(said);
        if command == "DATA" && answer.as_ref().unwrap().starts_with("354") {
            say(&mut stream, answer.as_ref().unwrap()).await.ok()?;
            let mut message = String::new();
            while let Some(line) = hear(&mut stream).await {
                if line == "." {
                    break;
                }
                message.push_str(line.strip_prefix('.').unwrap_or(&line));
                message.push_str("\r\n");
            }
            let said = answer_to(state, ".");
            if said.starts_with('2') {
                state.lock().unwrap().messages.push(message);
            }
            answer = Some(said);
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), answer: &str) -> std::io::Result<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn hear(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
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
        "STARTTLS" => "220 go on".to_owned(),
        _ => "250 yes".to_owned(),
    }
}
