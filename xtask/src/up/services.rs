//! The running processes: started, waited for, watched, stopped in order.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::probe;
use super::settings::{Role, Settings};
use crate::process::{self, POLL};
use crate::project::Project;
use crate::stop::Stop;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// Longer than one call to Toss may take (its read timeout is 65 s): the worker finishes what is in hand.
const GRACE: Duration = Duration::from_secs(75);

const LOG_TAIL_LINES: usize = 20;

struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
    address: SocketAddr,
    /// What answers 200 once the process can serve.
    ready: &'static str,
}

/// In the order of starting. What is left running is stopped when this is dropped.
#[derive(Default)]
pub(crate) struct Services {
    running: Vec<Service>,
}

impl Services {
    /// The sandbox first, because the worker may call it at once.
    pub(crate) fn start(&mut self, project: &Project, settings: &Settings) -> anyhow::Result<()> {
        let logs = project.log_folder()?;
        for (name, role, address, ready) in [
            ("toss-sandbox", Role::Sandbox, "SANDBOX_ADDR", "/sandbox"),
            ("billing-api", Role::Api, "API_ADDR", "/readyz"),
            ("billing-worker", Role::Worker, "WORKER_ADDR", "/readyz"),
        ] {
            let mut command = Command::new(project.binary(name)?);
            command.env_clear().envs(settings.environment(role)).current_dir(&project.root);
            let log = logs.join(format!("{name}.log"));
            let child = spawn_logged(&mut command, &log)?;
            self.running.push(Service { name, child, log, address: settings.address(address)?, ready });
        }
        Ok(())
    }

    pub(crate) fn pids(&self) -> Vec<(&'static str, u32)> {
        self.running.iter().map(|service| (service.name, service.child.id())).collect()
    }

    pub(crate) fn wait_until_ready(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            stop.bail_if_asked()?;
            self.fail_if_one_ended()?;
            let waiting = self.running.iter().find(|one| probe::status(one.address, one.ready) != Some(200));
            let Some(waiting) = waiting else { return Ok(()) };
            if Instant::now() > deadline {
                let tail = log_tail(&waiting.log);
                bail!("{} was not ready within {} s{tail}", waiting.name, READY_WITHIN.as_secs());
            }
            sleep(POLL);
        }
    }

    /// Returns when somebody asks to stop; fails when a process ends by itself.
    pub(crate) fn watch(&mut self, stop: &Stop) -> anyhow::Result<()> {
        while !stop.take() {
            self.fail_if_one_ended()?;
            sleep(POLL);
        }
        Ok(())
    }

    /// Stops the last started first: the sandbox stays until the worker has its answers. A second Ctrl-C kills.
    pub(crate) fn end(&mut self, stop: &Stop) {
        while let Some(mut service) = self.running.pop() {
            println!("  {} …", service.name);
            process::end(&mut service.child, GRACE, &|| stop.is_asked());
        }
    }

    fn fail_if_one_ended(&mut self) -> anyhow::Result<()> {
        for service in &mut self.running {
            if let Some(status) = service.child.try_wait()? {
                bail!("{} ended ({status}){}", service.name, log_tail(&service.log));
            }
        }
        Ok(())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        while let Some(mut service) = self.running.pop() {
            process::end(&mut service.child, GRACE, &|| false);
        }
    }
}

fn spawn_logged(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    process::spawn(command.stdout(file.try_clone()?).stderr(file))
}

fn log_tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut tail: Vec<&str> = text.lines().rev().take(LOG_TAIL_LINES).collect();
    tail.reverse();
    if tail.is_empty() {
        return format!("; its log {} is empty", log.display());
    }
    format!("; the end of {}:\n{}", log.display(), tail.join("\n"))
}

/// Time for a process of an earlier run to end by itself.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);

/// Remembers what was started, so that the next run can stop what this one does not live to stop.
pub(crate) fn remember(project: &Project, started: &[(&'static str, u32)]) -> anyhow::Result<()> {
    let lines: Vec<String> = started.iter().map(|(name, pid)| format!("{name} {pid}")).collect();
    Ok(fs::write(started_file(project)?, lines.join("\n"))?)
}

/// Stops what an earlier run left behind. Its ports and its worker would get in the way of the new one's.
pub(crate) fn stop_leftovers(project: &Project) -> anyhow::Result<()> {
    let remembered = fs::read_to_string(started_file(project)?).unwrap_or_default();
    for (name, pid) in remembered.lines().filter_map(|line| line.split_once(' ')) {
        let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) else { continue };
        if !is_still_running(project, name, pid)? {
            continue;
        }
        println!("Stopping {name}, left by a run that was killed");
        // An error means that it ended just now.
        let _ = kill_process_group(pid, Signal::TERM);
        let deadline = Instant::now() + LEFTOVER_GRACE;
        while is_still_running(project, name, pid)? && Instant::now() < deadline {
            sleep(POLL);
        }
        if is_still_running(project, name, pid)? {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
    Ok(())
}

/// Whether the process with this number is still that program of this project, and not another that was given
/// the number since. Only Linux tells; elsewhere nothing is taken for a leftover.
fn is_still_running(project: &Project, name: &str, pid: Pid) -> anyhow::Result<bool> {
    let Ok(running) = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())) else { return Ok(false) };
    // Linux marks a program that was built anew since.
    let running = running.to_string_lossy();
    Ok(project.binary(name)? == Path::new(running.trim_end_matches(" (deleted)")))
}

fn started_file(project: &Project) -> anyhow::Result<PathBuf> {
    Ok(project.dev()?.join("started"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn start(services: &mut Services, dir: &Path, script: &str) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let log = dir.join("a-process.log");
        let child = spawn_logged(&mut command, &log).unwrap();
        services.running.push(Service { name: "a-process", child, log, address, ready: "/readyz" });
    }

    #[test]
    fn a_process_that_ends_is_named_with_its_status_and_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut services = Services::default();
        start(&mut services, dir.path(), "echo DATABASE_URL is not set; exit 2");
        let error = services.wait_until_ready(&Stop::never()).unwrap_err().to_string();
        assert!(error.starts_with("a-process ended (exit status: 2)"), "{error}");
        assert!(error.ends_with("DATABASE_URL is not set"), "{error}");
    }

    #[test]
    fn ctrl_c_ends_the_watch_and_sends_sigterm() {
        let dir = tempfile::tempdir().unwrap();
        let mut services = Services::default();
        start(
            &mut services,
            dir.path(),
            "trap 'echo finished; exit 0' TERM; echo on; while :; do sleep 0.05; done",
        );
        while fs::read_to_string(dir.path().join("a-process.log")).unwrap().is_empty() {
            std::thread::yield_now();
        }
        services.watch(&Stop::already_asked()).unwrap();
        services.end(&Stop::never());
        assert!(fs::read_to_string(dir.path().join("a-process.log")).unwrap().ends_with("finished\n"));
    }
}
