//! Our programs as real processes: a clean environment, a log each, killed as a power cut would.

use std::{
    fmt::Display,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::process::{Child, Command};

/// Below the ports that systems give to outgoing connections: a process that is killed finds its own free again.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const READY_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program of ours and the whole environment it will see.
#[derive(Clone)]
pub struct Program {
    path: PathBuf,
    log: PathBuf,
    vars: Vec<(&'static str, String)>,
}

/// Killed when dropped.
pub struct Process(Child);

impl Program {
    /// From the folder in which the running program lies. Its logs go to `<logs>/<name>.log`.
    pub fn beside_this_one(program: &str, name: &str, logs: &Path) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("cannot tell where this program lies")?;
        let path = this.parent().context("this program lies in no folder")?.join(program);
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
    /// SIGKILL: it does not notice.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill().await.context("cannot kill a process")
    }

    /// Whether it has ended, which nobody asked it to.
    pub fn has_fallen(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

/// Addresses of this machine on which nobody listens.
pub fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for port in PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Held until all are found, so that none is given twice.
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
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("{url} was not ready within {} s", READY_WITHIN.as_secs())
}
