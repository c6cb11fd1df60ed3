//! The house rules that a source file can break by its text alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

const MAX_LINES: usize = 500;
const KINDS: [&str; 3] = ["rs", "sql", "html"];

/// Written in halves, so that this file does not break its own rule.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("XX", "X")];

/// Where SQL may be written. Tests elsewhere may look into the database, but not through checked queries, whose
/// metadata is only kept for these.
const SQL_FOLDERS: [&str; 2] = ["queue/", "common/src/store/"];
const CHECKED_QUERIES: [&str; 4] = ["query!(", "query_as!(", "query_scalar!(", "query_file!("];
const QUERIES: [&str; 3] = ["sqlx::query", "sqlx::raw_sql", "QueryBuilder"];

/// What the pure rules may not know.
const DOMAIN: &str = "common/src/domain/";
const IMPURE: [&str; 5] = ["sqlx::", "tokio::", "queue::", "crate::store", "tracing::"];

pub(crate) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in files(root)? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        findings.extend(in_file(&name, &text));
    }
    Ok(findings)
}

/// What is wrong with one file; `name` is its path from the project's root.
fn in_file(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        findings.push(format!("{name}: {lines} lines; at most {MAX_LINES}, so that a file has one purpose"));
    }
    let is_rust = Path::new(name).extension().is_some_and(|kind| kind == "rs");
    if is_rust && !text.starts_with("//! ") {
        findings.push(format!("{name}: the first line must be `//! ` and the file's one purpose"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(*word)) {
            findings.push(format!("{name}:{number}: {word}: finish it, or open an issue"));
        }
        if is_rust && let Some(reason) = misplaced(name, line) {
            findings.push(format!("{name}:{number}: {reason}"));
        }
    }
    findings
}

fn misplaced(name: &str, line: &str) -> Option<&'static str> {
    if line.trim_start().starts_with("//") || name.starts_with("xtask/") {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let is_test = name.starts_with("e2e/") || name.contains("/tests/");
    let may_have_sql = SQL_FOLDERS.iter().any(|folder| name.starts_with(folder));
    if !may_have_sql && (has(&CHECKED_QUERIES) || (!is_test && has(&QUERIES))) {
        return Some("SQL lives in common/src/store and queue only");
    }
    (name.starts_with(DOMAIN) && has(&IMPURE))
        .then_some("the domain is pure: no database, queue, runtime or log")
}

pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type()?;
        if kind.is_dir() && !hidden && entry.file_name() != "target" && entry.file_name() != "node_modules" {
            files.extend(self::files(&path)?);
        } else if kind.is_file() && path.extension().is_some_and(|kind| KINDS.iter().any(|one| kind == *one))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! A purpose.\n";

    #[test]
    fn a_file_that_keeps_the_rules_has_no_findings() {
        assert_eq!(in_file("api/src/a.rs", HEAD), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_a_purpose_or_with_too_many_lines_is_found() {
        assert_eq!(in_file("api/src/a.rs", "use std;\n").len(), 1);
        assert_eq!(in_file("migrations/1.sql", &"\n".repeat(501)).len(), 1);
        assert_eq!(in_file("migrations/1.sql", &"\n".repeat(500)).len(), 0);
    }

    #[test]
    fn what_is_promised_for_later_is_found_with_its_line() {
        let text = format!("{HEAD}// {}: more\n", UNFINISHED[0]);
        assert!(in_file("api/src/a.rs", &text)[0].starts_with("api/src/a.rs:2: "));
    }

    #[test]
    fn sql_outside_the_store_and_the_queue_is_found() {
        let text = format!("{HEAD}sqlx::query(\"select 1\")\n");
        assert_eq!(in_file("api/src/a.rs", &text).len(), 1);
        assert_eq!(in_file("common/src/store/a.rs", &text).len(), 0);
        assert_eq!(in_file("queue/src/a.rs", &text).len(), 0);
    }

    #[test]
    fn tests_may_use_sql_but_no_checked_queries() {
        assert_eq!(in_file("e2e/tests/a.rs", &format!("{HEAD}sqlx::query(\"select 1\")\n")).len(), 0);
        assert_eq!(in_file("e2e/tests/a.rs", &format!("{HEAD}sqlx::query!(\"select 1\")\n")).len(), 1);
    }

    #[test]
    fn a_domain_that_knows_the_database_is_found() {
        assert_eq!(in_file("common/src/domain/a.rs", &format!("{HEAD}use sqlx::Type;\n")).len(), 1);
    }
}
