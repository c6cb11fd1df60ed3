//! A headless Chromium of this machine, told what to do over a pipe in the protocol of its developer tools.

use std::{path::PathBuf, process::Stdio, time::Duration};

use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Generous, for machines that are busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);
/// As Debian, Ubuntu and Google name it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// It reads commands from descriptor 3 and answers on 4, which are the pipes to this test.
const START: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#;
/// Nothing outside this machine is reached: no update, no download, no search.
const QUIET: [&str; 11] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--disable-gpu",
    "--disable-dev-shm-usage",
];

/// Killed when dropped.
pub(crate) struct Chromium {
    _process: Child,
    _profile: TempDir,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    last_id: u64,
    events: Vec<Value>,
}

impl Chromium {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.arg("-c").arg(START).arg(program()).args(QUIET);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        if geteuid().is_root() {
            // Its sandbox refuses to run as root, as in a container.
            command.arg("--no-sandbox");
        }
        command
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let answers = BufReader::new(answers);
        Self { _process: process, _profile: profile, commands, answers, last_id: 0, events: Vec::new() }
    }

    /// Sends a command, to a page if one is named; answers its result, or the error that it met.
    pub(crate) async fn tell(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, Value> {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).await.expect("Chromium has ended");
        loop {
            let mut answer = self.hear(method).await;
            // Everything else is an event.
            if answer["id"] == self.last_id {
                return match answer["error"].take() {
                    Value::Null => Ok(answer["result"].take()),
                    error => Err(error),
                };
            }
            self.events.push(answer);
        }
    }

    /// What happened in the browser by itself since this was last asked.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    async fn hear(&mut self, method: &str) -> Value {
        let mut bytes = Vec::new();
        let answer = timeout(LIMIT, self.answers.read_until(0, &mut bytes)).await;
        answer.unwrap_or_else(|_| panic!("Chromium did not answer {method} within {LIMIT:?}")).unwrap();
        assert_eq!(bytes.pop(), Some(0), "Chromium ended before it answered {method}");
        serde_json::from_slice(&bytes).unwrap()
    }
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file()).expect(
        "Chromium was not found: install it (Debian: `sudo apt-get install chromium`), as `cargo xtask test` does as root",
    )
}
