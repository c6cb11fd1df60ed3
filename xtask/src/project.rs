//! The project's folders, and cargo as a nested command.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use crate::process;
use crate::stop::Stop;

/// Variables that `cargo run` sets for this very crate; handed on, they would make build scripts run again.
const OWN_VARIABLES: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];

pub(crate) struct Project {
    pub(crate) root: PathBuf,
    /// What `cargo metadata --no-deps` says.
    pub(crate) metadata: Value,
}

impl Project {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        Self::at(manifest.parent().context("xtask lies in no folder")?.to_path_buf())
    }

    /// The project in this folder, which may be another work tree than the one that this program was built in.
    pub(crate) fn at(root: PathBuf) -> anyhow::Result<Self> {
        let mut command = cargo_in(&root);
        command.args(["metadata", "--format-version=1", "--no-deps"]);
        let metadata = serde_json::from_str(&process::output(&mut command)?)?;
        Ok(Self { root, metadata })
    }

    /// Everything that belongs to this machine only: clusters, secrets, logs. Git ignores it.
    pub(crate) fn dev(&self) -> anyhow::Result<PathBuf> {
        let dev = self.root.join(".dev");
        fs::create_dir_all(&dev).with_context(|| format!("cannot create {}", dev.display()))?;
        Ok(dev)
    }

    /// The folder of the processes' logs.
    pub(crate) fn log_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.dev()?.join("log");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    pub(crate) fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// A binary that `cargo build` made in the development profile.
    pub(crate) fn binary(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.target()?.join("debug").join(name))
    }

    /// A binary that `cargo build --release` made.
    fn release_binary(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.target()?.join("release").join(name))
    }

    /// Builds the programs of these packages and e2e's `driver`, which finds them beside itself. Returns its path.
    pub(crate) fn build_driver(
        &self,
        driver: &str,
        packages: &[&str],
        stop: &Stop,
    ) -> anyhow::Result<PathBuf> {
        eprintln!("Building for release");
        let mut programs = self.cargo();
        programs.args(["build", "--release", "--quiet", "--bins"]);
        for package in packages {
            programs.args(["-p", package]);
        }
        process::run(&mut programs, stop)?;
        // Built apart: together with e2e, the programs would get the crash points that its tests need.
        let mut e2e = self.cargo();
        e2e.args(["build", "--release", "--quiet", "-p", "e2e", "--bin", driver]);
        process::run(&mut e2e, stop)?;
        self.release_binary(driver)
    }

    fn target(&self) -> anyhow::Result<&Path> {
        let target = self.metadata.get("target_directory").and_then(Value::as_str);
        target.map(Path::new).context("cargo metadata names no target directory")
    }

    /// Keeps a second run of the same kind from sharing its cluster and ports with this one.
    pub(crate) fn lock(&self, name: &str) -> anyhow::Result<File> {
        let path = self.dev()?.join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("`cargo xtask {name}` is already running in this folder")
            }
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock"),
        }
    }
}

fn cargo_in(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| OWN_VARIABLES.iter().any(|own| name.starts_with(own)));
        if own {
            command.env_remove(name);
        }
    }
    command
}
