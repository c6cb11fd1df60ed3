//! Whether files changed since the last run of a check: a hash of their paths and contents.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use anyhow::Context;

/// The hash of files and whole folders under `root`. One that does not exist counts as such.
///
/// Only ever compared with one from this machine: another compiler may hash in another way.
pub(crate) fn of(root: &Path, names: &[&str]) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    for name in names {
        add(&root.join(name), &mut hasher)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn add(path: &Path, hasher: &mut DefaultHasher) -> anyhow::Result<()> {
    path.hash(hasher);
    if path.is_dir() {
        let mut entries =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| add(entry, hasher));
    }
    if path.exists() {
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(hasher);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_added_or_removed_file_changes_the_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let now = || of(dir.path(), &["folder", "absent"]).unwrap();
        let file = dir.path().join("folder/file");
        fs::create_dir(dir.path().join("folder")).unwrap();
        let empty = now();
        fs::write(&file, "one").unwrap();
        let one = now();
        fs::write(&file, "two").unwrap();
        assert!(empty != one && one != now() && empty != now());
        fs::remove_file(&file).unwrap();
        assert_eq!(empty, now());
    }
}
