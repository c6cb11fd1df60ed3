//! Runs our programs as real processes, each with a clean environment and a log file. A kill is SIGKILL, like a power cut.

use std::fmt::Display;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::process::{Child, Command};

/// Below the ports of outgoing connections: a restarted process finds its own port free.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const READY_WITHIN: Duration = Duration::from_mins(1);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// A program and its whole environment.
#[derive(Clone)]
pub struct Program {
    path: PathBuf,
    log: PathBuf,
    vars: Vec<(&'static str, String)>,
}

/// Killed when dropped.
pub struct Process(Child);

impl Program {
    /// Finds the program in the folder of the running one. Its log is `<logs>/<name>.log`.
    pub fn beside_this_one(program: &str, name: &str, logs: &Path) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("cannot find the path of this program")?;
        let path = this.parent().context("this program has no folder")?.join(program);
        ensure!(path.is_file(), "{} is missing: build it first", path.display());
        let log = logs.join(format!("{name}.log"));
        Ok(Self { path, log, vars: Vec::new() })
    }

    #[must_use]
    pub fn var(mut self, name: &'static str, value: impl Display) -> Self {
        self.vars.push((name, value.to_string()));
        self
    }

    pub fn start(&self) -> anyhow::Result<Process> {
        let log = || {
            let file = File::options().create(true).append(true).open(&self.log);
            file.with_context(|| format!("cannot write {}", self.log.display()))
        };
        let mut command = Command::new(&self.path);
        command.env_clear().envs(self.vars.iter().cloned()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log()?).stderr(log()?);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Process(child))
    }
}

impl Process {
    /// Kills the process with SIGKILL.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill().await.context("cannot kill a process")
    }

    /// Its number, as long as it runs.
    pub fn id(&self) -> Option<u32> {
        self.0.id()
    }

    /// Whether the process has exited by itself.
    pub fn has_exited(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

/// Finds free addresses of this machine.
pub fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for port in PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // The listeners stay open until all are found, so that no port is returned twice.
        if let Ok(listener) = TcpListener::bind(address) {
            found.push((address, listener));
        }
        if found.len() == count {
            return Ok(found.into_iter().map(|(address, _)| address).collect());
        }
    }
    bail!("no {count} free ports between {} and {}", PORTS.start, PORTS.end)
}

/// Waits until this URL answers 200.
pub async fn wait_until_ready(http: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        if http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    bail!("{url} was not ready within {} s", READY_WITHIN.as_secs())
}
