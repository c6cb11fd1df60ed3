//! Our programs as real processes: started with a clean environment, watched, killed when a test ends.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use testing::{LIMIT, until};
use tokio::process::{Child, Command};

/// A program of ours and the whole environment it will see.
#[derive(Clone)]
pub(crate) struct Program {
    path: PathBuf,
    vars: Vec<(&'static str, String)>,
    args: Vec<OsString>,
    /// How many files it may open; none for as many as this test.
    descriptors: Option<u32>,
}

/// A process. Killed when dropped; a failing test shows what it wrote.
pub(crate) struct Process {
    child: Child,
    log: NamedTempFile,
}

impl Program {
    pub(crate) fn named(name: &str) -> Self {
        let test = std::env::current_exe().unwrap();
        // target/debug/deps/processes-…
        let path = test.parent().and_then(Path::parent).unwrap().join(name);
        assert!(
            path.is_file(),
            "{} is missing: the programs are built before these tests, billing-worker with `--features worker/failpoints`",
            path.display()
        );
        Self { path, vars: Vec::new(), args: Vec::new(), descriptors: None }
    }

    /// A later value of the same variable replaces an earlier one.
    pub(crate) fn var(mut self, name: &'static str, value: impl Display) -> Self {
        self.vars.push((name, value.to_string()));
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = Some(count);
        self
    }

    pub(crate) fn start(&self) -> Process {
        let log = NamedTempFile::new().unwrap();
        let child = self.command().stdout(open(log.path())).stderr(open(log.path())).spawn().unwrap();
        Process { child, log }
    }

    /// Starts it with standard error as given, and standard output nowhere.
    pub(crate) fn start_with_log(&self, log: Stdio) -> Process {
        let child = self.command().stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Process { child, log: NamedTempFile::new().unwrap() }
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self) -> Output {
        tokio::time::timeout(LIMIT, self.command().output()).await.expect("it was to end by itself").unwrap()
    }

    fn command(&self) -> Command {
        let mut command = match self.descriptors {
            None => Command::new(&self.path),
            Some(count) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", "ulimit -n $0 && exec \"$@\""]).arg(count.to_string()).arg(&self.path);
                shell
            }
        };
        command.env_clear().envs(self.vars.iter().cloned()).args(&self.args);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

fn open(log: &Path) -> File {
    File::options().append(true).open(log).unwrap()
}

impl Process {
    /// As a power cut would: it does not notice.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop, as a deployment does.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it is still running");
        kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    pub(crate) async fn end(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("waited {LIMIT:?} for a process to end")).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log.path()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- the last lines of process {:?}\n{tail}", self.child.id());
        }
    }
}

/// Waits until the process that listens there says that it is able to work.
pub(crate) async fn ready(address: SocketAddr) {
    until("a process to be ready", async || {
        let answer = reqwest::get(format!("http://{address}/readyz")).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}
