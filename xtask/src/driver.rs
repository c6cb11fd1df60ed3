//! The programs of e2e that drive ours, built for release.

use std::path::PathBuf;

use crate::process;
use crate::project::Project;
use crate::stop::Stop;

/// Builds the programs of these packages and e2e's `driver`, which finds them beside itself. Answers where it is.
pub(crate) fn build(
    driver: &str,
    packages: &[&str],
    project: &Project,
    stop: &Stop,
) -> anyhow::Result<PathBuf> {
    eprintln!("Building for release");
    let mut programs = project.cargo();
    programs.args(["build", "--release", "--quiet", "--bins"]);
    for package in packages {
        programs.args(["-p", package]);
    }
    process::run(&mut programs, stop)?;
    // Not together with them: they would get the crash points that e2e's tests need.
    let mut e2e = project.cargo();
    e2e.args(["build", "--release", "--quiet", "-p", "e2e", "--bin", driver]);
    process::run(&mut e2e, stop)?;
    project.release_binary(driver)
}
