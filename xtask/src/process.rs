//! Child processes: each in a group of its own, so that one signal reaches it and what it started.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::stop::Stop;

/// How often a running child is looked at; bounds how late its end, or Ctrl-C, is noticed.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// What a command that was interrupted may still take before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Starts a command that the terminal's Ctrl-C does not reach: it is stopped in our order, not the terminal's.
pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", name_of(command)))
}

/// Runs a command to its end with its output on this terminal.
///
/// Fails when the command does, or when this process is asked to stop meanwhile.
pub(crate) fn run(command: &mut Command, stop: &Stop) -> anyhow::Result<()> {
    stop.bail_if_asked()?;
    let mut child = spawn(command)?;
    loop {
        if let Some(status) = child.try_wait()? {
            return check(command, status);
        }
        if stop.is_asked() {
            end(&mut child, GRACE, &|| false);
            bail!("interrupted");
        }
        sleep(POLL);
    }
}

/// Runs a command to its end and returns what it printed; its error output is part of the error.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    // Its own group, too: Ctrl-C must not cut short the very command that stops PostgreSQL.
    command.process_group(0);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", name_of(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", name_of(command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", name_of(command)))
}

/// Asks the child to stop with SIGTERM; kills it after `grace`, or as soon as `hurry` says so.
pub(crate) fn end(child: &mut Child, grace: Duration, hurry: &dyn Fn() -> bool) {
    signal_group(child, Signal::TERM);
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline && !hurry() {
        match child.try_wait() {
            Ok(None) => sleep(POLL),
            // Ended; or it cannot be waited for, and then it is not ours to kill either.
            Ok(Some(_)) | Err(_) => return,
        }
    }
    signal_group(child, Signal::KILL);
    // Killed just now: its only remaining duty is to be collected.
    let _ = child.wait();
}

fn signal_group(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // An error means that the group is gone, which is what was wanted.
        let _ = kill_process_group(pid, signal);
    }
}

fn check(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("{} failed ({status})", name_of(command));
    }
    Ok(())
}

/// The program's file name and its subcommand: never every argument, some of which may be secret.
fn name_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut name = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    if let Some(first) = command.get_args().next() {
        let first = first.to_string_lossy();
        if !first.starts_with('-') && !first.contains("://") {
            name = format!("{name} {first}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_that_fails_is_named_with_its_status() {
        let error = run(&mut shell("exit 3"), &Stop::never()).unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3)");
    }

    #[test]
    fn what_a_failing_command_said_is_part_of_the_error() {
        let error = output(&mut shell("echo no such thing >&2; exit 1")).unwrap_err();
        assert!(error.to_string().ends_with("no such thing"), "{error}");
    }

    #[test]
    fn nothing_is_started_once_a_stop_was_asked_for() {
        let error = run(&mut shell("exit 0"), &Stop::already_asked()).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
    }

    #[test]
    fn a_second_ctrl_c_kills_a_child_that_ignores_sigterm() {
        let mut child = spawn(&mut shell("trap '' TERM; while :; do sleep 1; done")).unwrap();
        end(&mut child, Duration::from_mins(10), &|| true);
        assert!(!child.wait().unwrap().success());
    }
}
