//! The PostgreSQL server programs on this machine, found or installed.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{debian, process};

/// All three must lie together: a `postgres` alone on the PATH may be a wrapper around something else.
const SERVER_PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Folders with one subfolder per version: Debian's, and that of PostgreSQL's own packages.
const VERSION_FOLDERS: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

pub(crate) struct Installation {
    bin: PathBuf,
    /// As in a cluster's `PG_VERSION` file.
    pub(crate) major: String,
}

impl Installation {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Finds the programs of any version, or of the one that an existing cluster needs; installs them where that
/// can be done unasked.
pub(crate) fn find_or_install(major: Option<&str>) -> anyhow::Result<Installation> {
    if let Some(found) = find(&folders(), major) {
        return Ok(found);
    }
    if let Some(major) = major {
        bail!(
            "its data was made by PostgreSQL {major}, which is not installed any more: install it, or delete the data"
        );
    }
    debian::install("PostgreSQL", "postgresql", "or set DATABASE_URL")?;
    find(&folders(), None).context("PostgreSQL was installed, but its programs were not found")
}

/// The client `psql`, from the PATH or beside the server programs.
pub(crate) fn psql() -> anyhow::Result<PathBuf> {
    let find = || folders().into_iter().map(|dir| dir.join("psql")).find(|path| path.is_file());
    if let Some(found) = find() {
        return Ok(found);
    }
    debian::install("psql", "postgresql-client", "it reads the migrations")?;
    find().context("the PostgreSQL client was installed, but psql was not found")
}

fn find(folders: &[PathBuf], major: Option<&str>) -> Option<Installation> {
    folders.iter().filter(|dir| SERVER_PROGRAMS.iter().all(|name| dir.join(name).is_file())).find_map(|dir| {
        let said = process::output(Command::new(dir.join("postgres")).arg("--version")).ok()?;
        let found = major_version(&said)?;
        let wanted = major.is_none_or(|major| major == found);
        wanted.then(|| Installation { bin: dir.clone(), major: found })
    })
}

/// Where the programs may be: the PATH's order, then the newest version first.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (parent, prefix) in VERSION_FOLDERS {
        folders.extend(versions_in(Path::new(parent), prefix).into_iter().map(|dir| dir.join("bin")));
    }
    folders
}

fn versions_in(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.strip_prefix(prefix)?.parse().ok()?, entry.path()))
        })
        .collect();
    versions.sort_by_key(|(version, _)| Reverse(*version));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` → `15`.
fn major_version(said: &str) -> Option<String> {
    let version =
        said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(version.chars().take_while(char::is_ascii_digit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)").unwrap(), "15");
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1").unwrap(), "19");
        assert_eq!(major_version("nothing of the sort"), None);
    }

    #[test]
    fn a_lone_postgres_on_the_path_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("postgres"), "").unwrap();
        assert!(find(&[dir.path().to_path_buf()], None).is_none());
    }

    #[test]
    fn newer_versions_come_first_by_number_not_by_letter() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "notes"] {
            fs::create_dir(dir.path().join(version)).unwrap();
        }
        let found = versions_in(dir.path(), "");
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["17", "15", "9"]);
    }
}
