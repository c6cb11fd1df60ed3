//! `toss-sandbox` as a process: starts, serves, ends on SIGTERM; tells all mistakes at once.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toss-sandbox"));
    for name in ["SANDBOX_ADDR", "SANDBOX_WEBHOOK_URL", "SANDBOX_SECRET_KEYS", "LOG_FORMAT", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// The address in the line that says it is up.
fn url_of(child: &mut Child) -> String {
    let log = BufReader::new(child.stderr.take().unwrap());
    let line = log.lines().map(Result::unwrap).find(|line| line.contains("is up")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["fields"]["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_serves_until_sigterm_and_exits_0() {
    let mut command = program();
    command.env("SANDBOX_ADDR", "127.0.0.1:0").env("LOG_FORMAT", "json").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let url = url_of(&mut child);
    let guide = reqwest::get(format!("{url}/sandbox")).await.unwrap();
    assert_eq!(guide.status(), 200);
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn bad_configuration_lists_all_mistakes_and_exits_2() {
    let mut command = program();
    command.env("SANDBOX_ADDR", "nowhere").env("SANDBOX_WEBHOOK_URL", "ftp://x");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("SANDBOX_ADDR") && text.contains("SANDBOX_WEBHOOK_URL"), "{text}");
}
