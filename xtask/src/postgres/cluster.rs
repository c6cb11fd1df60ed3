//! A private PostgreSQL cluster: made once, started on a free port of 127.0.0.1, stopped when dropped.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::installation::Installation;
use super::owner::Owner;
use super::{DatabaseUrl, installation};
use crate::project::Project;
use crate::{process, secrets};

/// The role that owns the database: ordinary, but for creating the databases of tests.
const ROLE: &str = "billing";

/// What a cluster is for; no two share data.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Development,
    Tests,
    Bench,
    Chaos,
}

impl Purpose {
    fn folder(self) -> &'static str {
        match self {
            Self::Development => "pg",
            Self::Tests => "test-pg",
            Self::Bench => "bench-pg",
            Self::Chaos => "chaos-pg",
        }
    }

    /// Tests may lose everything in a crash of the machine, and open many connections at once. What is measured or
    /// crashed is as safe as in production.
    fn settings(self) -> &'static str {
        match self {
            Self::Development | Self::Chaos => "-c max_connections=200",
            // A worker with 200 charges at once opens 228.
            Self::Bench => "-c max_connections=400",
            Self::Tests => {
                "-c max_connections=300 -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
            }
        }
    }
}

pub(crate) struct Cluster {
    root: PathBuf,
    port: u16,
    owner: Option<Owner>,
    installation: Installation,
}

impl Cluster {
    pub(crate) fn start(project: &Project, purpose: Purpose) -> anyhow::Result<Self> {
        let owner = Owner::if_root()?;
        let root = make_root(project, purpose, owner.as_ref())?;
        let made_by = fs::read_to_string(root.join("data/PG_VERSION")).ok();
        let installation = installation::find_or_install(made_by.as_deref().map(str::trim))
            .with_context(|| format!("cannot start the cluster in {}", root.display()))?;
        // The package manager may have brought the user that should own the cluster.
        let owner = if made_by.is_none() { Owner::if_root()? } else { owner };
        if let Some(owner) = &owner {
            owner.take(&root, 0o700)?;
        }
        let mut cluster = Self { root, port: 0, owner, installation };
        if made_by.is_none() {
            cluster.initialize()?;
        }
        cluster.ensure_running(purpose)?;
        Ok(cluster)
    }

    pub(crate) fn version(&self) -> &str {
        &self.installation.major
    }

    /// Where the data lies and whose it is, for a person.
    pub(crate) fn place(&self) -> String {
        let place = self.root.display();
        match &self.owner {
            Some(owner) => format!("{place}, run by user {}", owner.name()),
            None => place.to_string(),
        }
    }

    /// What another program needs to crash and restart this server: arguments of e2e's `chaos`.
    pub(crate) fn control(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        for (name, path) in [
            ("--pg-ctl", self.installation.program("pg_ctl")),
            ("--pg-data", self.root.join("data")),
            ("--pg-log", self.root.join("log")),
        ] {
            arguments.extend([name.into(), path.into()]);
        }
        if let Some(owner) = &self.owner {
            arguments.extend(["--pg-owner".into(), owner.ids().into()]);
        }
        arguments
    }

    pub(crate) fn url(&self) -> anyhow::Result<DatabaseUrl> {
        let password = self.read("password")?;
        DatabaseUrl::parse(&format!("postgres://{ROLE}:{}@127.0.0.1:{}/{ROLE}", password.trim(), self.port))
    }

    /// Makes the cluster under another name first: a run that is killed half way leaves none that looks whole.
    fn initialize(&self) -> anyhow::Result<()> {
        eprintln!("Creating a PostgreSQL {} cluster in {}", self.version(), self.root.display());
        let unfinished = self.root.join("data.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let password = secrets::hex_secret()?;
        self.write_password(&password)?;
        let mut initdb = self.command("initdb");
        initdb.args(["--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(self.root.join("password"));
        process::output(&mut initdb)?;
        self.create_database(&unfinished, &password)?;
        fs::rename(&unfinished, self.root.join("data"))?;
        Ok(())
    }

    /// In single-user mode: no port is open yet, and no client program is needed.
    fn create_database(&self, data: &Path, password: &str) -> anyhow::Result<()> {
        let mut single = self.command("postgres");
        single.args(["--single", "-c", "exit_on_error=on", "-c", "password_encryption=scram-sha-256", "-D"]);
        single.arg(data).arg("postgres").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = single.spawn().context("cannot start postgres")?;
        let statements = format!(
            "create role {ROLE} login createdb password '{password}'\ncreate database {ROLE} owner {ROLE}\n"
        );
        child.stdin.take().context("postgres has no input")?.write_all(statements.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "cannot create the database: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    fn ensure_running(&mut self, purpose: Purpose) -> anyhow::Result<()> {
        let data = self.root.join("data");
        // A run that was killed left it running. Only one run at a time holds the lock, so it is ours to use.
        if process::output(self.command("pg_ctl").arg("status").arg("-D").arg(&data)).is_ok() {
            self.port = running_port(&self.read("data/postmaster.pid")?)?;
            return Ok(());
        }
        self.port = self.choose_port()?;
        // No socket: its folder would need one more place that this user may write to.
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= {}",
            self.port,
            purpose.settings()
        );
        let mut start = self.command("pg_ctl");
        start.args(["start", "--silent", "--wait", "--timeout=60", "--options", &options, "--log"]);
        start.arg(self.root.join("log")).arg("-D").arg(&data).stdin(Stdio::null());
        process::output(&mut start).with_context(|| self.log_tail())?;
        Ok(())
    }

    /// The port of the last time where it is still free, so that URLs in a shell stay true.
    fn choose_port(&self) -> anyhow::Result<u16> {
        let last = self.read("port").ok().and_then(|text| text.trim().parse::<u16>().ok());
        let free = last.and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        let listener = free.map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok)?;
        let port = listener.local_addr()?.port();
        fs::write(self.root.join("port"), port.to_string())?;
        Ok(port)
    }

    fn write_password(&self, password: &str) -> anyhow::Result<()> {
        let path = self.root.join("password");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(password.as_bytes())?;
        self.owner.as_ref().map_or(Ok(()), |owner| owner.take(&path, 0o600))
    }

    fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.root.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn log_tail(&self) -> String {
        let log = self.read("log").unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        format!("PostgreSQL said:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// A server program as the cluster's owner, untouched by what the caller's shell says of other clusters.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.installation.program(program));
        command.current_dir(&self.root).env("LC_ALL", "C");
        for name in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGDATABASE", "PGOPTIONS"] {
            command.env_remove(name);
        }
        if let Some(owner) = &self.owner {
            owner.assume(&mut command);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.root.join("data");
        if process::output(self.command("pg_ctl").arg("status").arg("-D").arg(&data)).is_err() {
            return;
        }
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "--silent", "--wait", "--mode=fast", "--timeout=60", "-D"]).arg(&data);
        if let Err(error) = process::output(&mut stop) {
            eprintln!("PostgreSQL did not stop: {error:#}");
        }
    }
}

/// The project's `.dev`, or a folder of the system where the owner cannot get there.
fn make_root(project: &Project, purpose: Purpose, owner: Option<&Owner>) -> anyhow::Result<PathBuf> {
    let dev = project.dev()?;
    let root = match owner {
        Some(owner) if !owner.can_enter(&dev) => {
            let name = project.root.display().to_string().trim_matches('/').replace('/', "-");
            let elsewhere = Path::new("/var/lib/billing-dev").join(name);
            eprintln!(
                "User {} cannot enter {}: the cluster is kept in {}",
                owner.name(),
                dev.display(),
                elsewhere.display()
            );
            elsewhere
        }
        _ => dev,
    };
    let root = root.join(purpose.folder());
    fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    Ok(root)
}

/// The fourth line of `postmaster.pid`.
fn running_port(postmaster_pid: &str) -> anyhow::Result<u16> {
    let line = postmaster_pid.lines().nth(3).context("postmaster.pid names no port")?;
    line.trim().parse().context("postmaster.pid names no port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_a_running_server_is_read_from_its_pid_file() {
        let text = "2780\n/data\n1795370539\n55432\n/tmp\nlocalhost\n  1 2\nready   \n";
        assert_eq!(running_port(text).unwrap(), 55432);
        assert!(running_port("2780\n").is_err());
    }
}
