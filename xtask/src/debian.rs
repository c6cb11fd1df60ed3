//! Programs from Debian's packages, installed where that needs no question: by root, with apt.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::process;

/// Chromium, as Debian, Ubuntu and Google name it.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

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

/// Finds a Chromium for the browser tests, or installs one.
pub(crate) fn find_or_install_browser() -> anyhow::Result<()> {
    if is_in(&folders()) {
        return Ok(());
    }
    install("Chromium", "chromium", "it drives the example checkout")
}

fn folders() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

fn is_in(folders: &[PathBuf]) -> bool {
    let has = |folder: &Path| BROWSERS.iter().any(|name| folder.join(name).is_file());
    folders.iter().any(|folder| has(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_by_any_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let folders = [dir.path().to_path_buf()];
        assert!(!is_in(&folders));
        std::fs::write(dir.path().join("google-chrome"), "").unwrap();
        assert!(is_in(&folders));
    }
}
