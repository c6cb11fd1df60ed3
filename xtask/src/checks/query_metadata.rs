//! The metadata of the SQL queries (`.sqlx`), with which the workspace builds without a database.
//!
//! sqlx's macros (0.9) write one `query-<hash>.json` per query into `SQLX_OFFLINE_DIR` when they are compiled
//! against a live database, so the two crates that have SQL are compiled once that way.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::postgres::{DatabaseUrl, FreshDatabase};
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

/// The crates that have SQL, by name and folder alike.
const CRATES: [&str; 2] = ["queue", "common"];

/// What the metadata follows from.
const INPUTS: [&str; 6] = ["Cargo.lock", "migrations", "queue", "common/Cargo.toml", "common/src", ".sqlx"];

type Queries = BTreeMap<String, Value>;

/// Runs `lint`, which must compile [`CRATES`]; fails when that does, and when the committed metadata is not what
/// the queries and the migrations say.
///
/// One compilation serves both: on a machine with nothing built, a second one takes minutes.
pub(crate) fn check(
    project: &Project,
    server: &DatabaseUrl,
    lint: &mut Command,
    stop: &Stop,
) -> anyhow::Result<()> {
    let stamp = project.dev()?.join("query-metadata.checked");
    let now = fingerprint(&project.root, &INPUTS)?;
    if fs::read_to_string(&stamp).is_ok_and(|last| last == now) {
        println!("queries and migrations are as they were when last checked");
        return process::run(lint, stop);
    }
    let fresh = read(&compile(project, server, lint, stop)?)?;
    let differences = differences(&read(&project.root.join(".sqlx"))?, &fresh);
    if !differences.is_empty() {
        bail!("run `cargo xtask prepare` and commit .sqlx:\n  {}", differences.join("\n  "));
    }
    println!("{} queries match", fresh.len());
    fs::write(&stamp, now)?;
    Ok(())
}

/// Replaces the metadata. What did not change is not written again.
pub(crate) fn prepare(project: &Project, server: &DatabaseUrl, stop: &Stop) -> anyhow::Result<()> {
    let mut check = project.cargo();
    check.args(["check", "--all-targets", "-p", "queue", "-p", "common"]);
    let made = compile(project, server, &mut check, stop)?;
    let (fresh, kept) = (read(&made)?, project.root.join(".sqlx"));
    fs::create_dir_all(&kept)?;
    let committed = read(&kept)?;
    let differences = differences(&committed, &fresh);
    for name in committed.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(kept.join(name))?;
    }
    for name in fresh.iter().filter(|(name, query)| committed.get(*name) != Some(query)).map(|(name, _)| name)
    {
        fs::copy(made.join(name), kept.join(name))?;
    }
    for difference in &differences {
        println!("  {difference}");
    }
    println!("{} queries, {} changed; commit .sqlx", fresh.len(), differences.len());
    Ok(())
}

/// Has the macros write their metadata into a folder of their own, from a database with just the migrations.
fn compile(
    project: &Project,
    server: &DatabaseUrl,
    compiler: &mut Command,
    stop: &Stop,
) -> anyhow::Result<PathBuf> {
    let folder = project.dev()?.join("query-metadata");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let database = FreshDatabase::migrated(project, server)?;
    for name in CRATES {
        touch(&project.root.join(name).join("src/lib.rs"))?;
    }
    compiler.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", &folder);
    process::run(compiler.env("DATABASE_URL", database.url().secret()), stop)?;
    Ok(folder)
}

/// Cargo does not know that the macros read the database: a newer file makes it compile them again.
fn touch(path: &Path) -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a file's own time, which no test clock moves")]
    let now = std::time::SystemTime::now();
    let file = fs::File::options().append(true).open(path);
    file.and_then(|file| file.set_modified(now)).with_context(|| format!("cannot touch {}", path.display()))
}

fn read(folder: &Path) -> anyhow::Result<Queries> {
    let mut queries = Queries::new();
    if !folder.exists() {
        return Ok(queries);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            queries.insert(name, serde_json::from_slice(&fs::read(entry.path())?)?);
        }
    }
    Ok(queries)
}

/// One line for each query that is missing, that changed, or that nothing uses any more.
fn differences(committed: &Queries, fresh: &Queries) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, query) in fresh {
        match committed.get(name) {
            None => lines.push(format!("missing  {}", describe(query))),
            Some(old) if old != query => lines.push(format!("changed  {}", describe(query))),
            Some(_) => {}
        }
    }
    let unused = committed.iter().filter(|(name, _)| !fresh.contains_key(*name));
    lines.extend(unused.map(|(_, query)| format!("unused   {}", describe(query))));
    lines
}

/// The start of the statement: a person knows it by that, not by its hash.
fn describe(query: &Value) -> String {
    let sql = query.get("query").and_then(Value::as_str).unwrap_or_default();
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").chars().take(80).collect()
}

/// The hash of the paths and contents of files and whole folders under `root`. One that does not exist counts as such.
///
/// Only ever compared with one from this machine: another compiler may hash in another way.
fn fingerprint(root: &Path, names: &[&str]) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    for name in names {
        add_to_hash(&root.join(name), &mut hasher)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn add_to_hash(path: &Path, hasher: &mut DefaultHasher) -> anyhow::Result<()> {
    path.hash(hasher);
    if path.is_dir() {
        let mut entries =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| add_to_hash(entry, hasher));
    }
    if path.exists() {
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(hasher);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn queries(list: &[(&str, Value)]) -> Queries {
        list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn missing_changed_and_unused_queries_are_told_apart() {
        let committed = queries(&[
            ("query-a.json", json!({ "query": "select\n  1", "describe": 1 })),
            ("query-b.json", json!({ "query": "select 2", "describe": 1 })),
            ("query-c.json", json!({ "query": "select 3" })),
        ]);
        let fresh = queries(&[
            ("query-a.json", json!({ "query": "select\n  1", "describe": 2 })),
            ("query-b.json", json!({ "query": "select 2", "describe": 1 })),
            ("query-d.json", json!({ "query": "select 4" })),
        ]);
        assert_eq!(
            differences(&committed, &fresh),
            ["changed  select 1", "missing  select 4", "unused   select 3"]
        );
    }

    #[test]
    fn a_folder_that_does_not_exist_has_no_queries() {
        assert!(read(Path::new("/nowhere")).unwrap().is_empty());
    }

    #[test]
    fn a_changed_added_or_removed_file_changes_the_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let now = || fingerprint(dir.path(), &["folder", "absent"]).unwrap();
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
