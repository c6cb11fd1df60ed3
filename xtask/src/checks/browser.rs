//! The browser that drives the example checkout: a Chromium of this machine, installed where there is none.

use std::path::{Path, PathBuf};

use crate::debian;

/// As Debian, Ubuntu and Google name it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

pub(crate) fn find_or_install() -> anyhow::Result<()> {
    if is_in(&folders()) {
        return Ok(());
    }
    debian::install("Chromium", "chromium", "it drives the example checkout")
}

fn folders() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

fn is_in(folders: &[PathBuf]) -> bool {
    let has = |folder: &Path| NAMES.iter().any(|name| folder.join(name).is_file());
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
