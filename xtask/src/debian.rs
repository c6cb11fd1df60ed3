//! Debian's packages, installed where that can be done unasked: by root, with apt.

use std::process::{Command, Stdio};

use anyhow::bail;

use crate::process;

/// Installs the package that brings `what`; `otherwise` says what else would do.
pub(crate) fn install(what: &str, package: &str, otherwise: &str) -> anyhow::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    let has_apt = process::output(Command::new("apt-get").arg("--version")).is_ok();
    if !is_root || !has_apt {
        bail!("{what} was not found: install it (Debian: `sudo apt-get install {package}`), {otherwise}");
    }
    eprintln!("{what} was not found: installing Debian's package {package}");
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", package]] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("`apt-get {}` failed: install {what} by hand, {otherwise}", arguments.join(" "));
        }
    }
    Ok(())
}
