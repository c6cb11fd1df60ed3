//! Processes of an earlier run that was killed before it could stop them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::process::POLL;
use crate::project::Project;

const GRACE: Duration = Duration::from_secs(10);

/// Remembers what was started, so that the next run can stop what this one does not live to stop.
pub(crate) fn remember(project: &Project, started: &[(&'static str, u32)]) -> anyhow::Result<()> {
    let lines: Vec<String> = started.iter().map(|(name, pid)| format!("{name} {pid}")).collect();
    Ok(fs::write(file(project)?, lines.join("\n"))?)
}

/// Stops what an earlier run left behind. Its ports and its worker would get in the way of the new one's.
pub(crate) fn stop(project: &Project) -> anyhow::Result<()> {
    let remembered = fs::read_to_string(file(project)?).unwrap_or_default();
    for (name, pid) in remembered.lines().filter_map(|line| line.split_once(' ')) {
        let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) else { continue };
        if !is_still(project, name, pid)? {
            continue;
        }
        println!("Stopping {name}, left by a run that was killed");
        // An error means that it ended just now.
        let _ = kill_process_group(pid, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while is_still(project, name, pid)? && Instant::now() < deadline {
            sleep(POLL);
        }
        if is_still(project, name, pid)? {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
    Ok(())
}

/// Whether the process with this number is still that program of this project, and not another that was given
/// the number since. Only Linux tells; elsewhere nothing is taken for a leftover.
fn is_still(project: &Project, name: &str, pid: Pid) -> anyhow::Result<bool> {
    let Ok(running) = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())) else { return Ok(false) };
    // Linux marks a program that was built anew since.
    let running = running.to_string_lossy();
    Ok(project.binary(name)? == Path::new(running.trim_end_matches(" (deleted)")))
}

fn file(project: &Project) -> anyhow::Result<PathBuf> {
    Ok(project.dev()?.join("started"))
}
