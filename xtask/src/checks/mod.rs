//! `cargo xtask test`: every check, in the order that fails fastest. CI runs this and nothing else.

mod boundaries;
mod cycles;
mod deployment;
mod manifest;
mod query_metadata;
mod source_paths;
mod sources;

use std::process::Command;
use std::time::Instant;

use anyhow::Context;

use crate::postgres::{Postgres, Purpose};
use crate::project::Project;
use crate::stop::Stop;
use crate::{debian, process};

const STATIC_CHECKS: usize = 8;

/// How many tests of a binary run at once; cargo takes one per core where it is not set.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Everything that needs no process of ours: minutes instead of a quarter of an hour.
pub(crate) fn check(project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("test")?;
    let mut steps = Steps::of(STATIC_CHECKS);
    let _postgres = static_checks(&mut steps, project, stop)?;
    steps.finish();
    Ok(())
}

pub(crate) fn test(project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("test")?;
    let mut steps = Steps::of(STATIC_CHECKS + 2);
    let postgres = static_checks(&mut steps, project, stop)?;
    // The tests start the real binaries. Built with the whole workspace, they have the crash points of e2e.
    steps.run("binaries", || {
        cargo(project, stop, &["build", "--workspace", "--bins", "--exclude", "xtask"])
    })?;
    steps.run("tests", || {
        debian::find_or_install_browser()?;
        let mut test = project.cargo();
        // A failed assertion says where it stands; the frames below it would push it out of a log that is cut.
        test.args(["test", "--workspace", "--no-fail-fast"]).env("RUST_BACKTRACE", "0");
        test.env("DATABASE_URL", postgres.url.secret());
        if std::env::var_os(TEST_THREADS).is_none() {
            test.env(TEST_THREADS, test_threads().to_string());
        }
        process::run(&mut test, stop)
    })?;
    drop(postgres);
    steps.finish();
    Ok(())
}

/// Returns the server that the check of the queries started: the tests use it, too.
fn static_checks(steps: &mut Steps, project: &Project, stop: &Stop) -> anyhow::Result<Postgres> {
    steps.run("format", || cargo(project, stop, &["fmt", "--all", "--check"]))?;
    steps.run("variables of docker-compose.yml, .env.example and README.md", || {
        none(&deployment::findings(project)?)
    })?;
    steps.run("who may depend on whom", || none(&boundaries::findings(&project.metadata)?))?;
    steps.run("no cycles between modules", || none(&cycles::findings(&project.root)?))?;
    steps.run("house rules of source files", || none(&sources::findings(&project.root)?))?;
    steps.run("licences and bans (cargo-deny)", || deny(project, stop))?;
    let mut postgres = None;
    steps.run("clippy, and the metadata of the queries", || {
        let server = postgres.insert(Postgres::open(project, Purpose::Tests)?);
        let mut clippy = project.cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        query_metadata::check(project, &server.url, &mut clippy, stop)
    })?;
    steps.run("documentation", || {
        let mut doc = project.cargo();
        doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
        process::run(&mut doc, stop)
    })?;
    postgres.ok_or_else(|| anyhow::anyhow!("the check of the queries started no PostgreSQL"))
}

/// Twice the cores: most tests wait for PostgreSQL or for another process most of their time.
fn test_threads() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| cores.get().saturating_mul(2))
}

pub(crate) fn prepare(project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("test")?;
    let postgres = Postgres::open(project, Purpose::Tests)?;
    query_metadata::prepare(project, &postgres.url, stop)
}

fn cargo(project: &Project, stop: &Stop, arguments: &[&str]) -> anyhow::Result<()> {
    process::run(project.cargo().args(arguments), stop)
}

/// Only what needs no network and no list of advisories, which would make the result depend on the day.
fn deny(project: &Project, stop: &Stop) -> anyhow::Result<()> {
    if process::output(Command::new("cargo-deny").arg("--version")).is_err() {
        println!("skipped: cargo-deny is not installed (`cargo install cargo-deny`)");
        return Ok(());
    }
    cargo(project, stop, &["deny", "--offline", "check", "bans", "licenses", "sources"])
}

/// All findings at once, so that one run is enough to mend them.
fn none(findings: &[String]) -> anyhow::Result<()> {
    anyhow::ensure!(findings.is_empty(), "{} to mend:\n  {}", findings.len(), findings.join("\n  "));
    Ok(())
}

/// A run of checks: headings, times and the closing line.
struct Steps {
    total: usize,
    done: usize,
    begun: Instant,
}

impl Steps {
    fn of(total: usize) -> Self {
        Self { total, done: 0, begun: Instant::now() }
    }

    /// Runs one check under its heading. Its error names it, and ends the run.
    fn run(&mut self, name: &str, check: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let number = self.done + 1;
        println!("\n== {number}/{} {name}", self.total);
        let begun = Instant::now();
        check().with_context(|| format!("check {number}/{} failed: {name}", self.total))?;
        println!("   ok: {name}, {:.1} s", begun.elapsed().as_secs_f64());
        self.done = number;
        Ok(())
    }

    fn finish(&self) {
        println!(
            "\nAll {} of {} checks passed in {:.0} s.",
            self.done,
            self.total,
            self.begun.elapsed().as_secs_f64()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_check_is_named_and_ends_the_run() {
        let mut steps = Steps::of(2);
        steps.run("first", || Ok(())).unwrap();
        let error = steps.run("second", || anyhow::bail!("because")).unwrap_err();
        assert_eq!(format!("{error:#}"), "check 2/2 failed: second: because");
        assert_eq!(steps.done, 1);
    }
}
