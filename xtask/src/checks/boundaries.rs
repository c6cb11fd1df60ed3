//! Who may depend on whom, and which crate alone may have what.

use serde_json::Value;

use super::manifest::{Dependency, Package, packages};

/// Our crates and those of ours that each may name, in tests, too. A crate that is not listed is a finding.
const DIRECTIONS: [(&str, &[&str]); 10] = [
    ("queue", &["testing"]),
    ("common", &["queue"]),
    ("toss", &[]),
    ("sandbox", &["testing"]),
    ("testing", &[]),
    ("api", &["common", "testing"]),
    ("worker", &["common", "toss"]),
    ("ops", &["common"]),
    ("e2e", &["api", "common", "ops", "queue", "sandbox", "testing", "toss", "worker"]),
    ("xtask", &[]),
];

/// Libraries (also with a suffix: `apalis` is `apalis-core`, too) that only some crates may have outside tests.
const OWNED: [(&str, &[&str]); 4] = [
    // HTTP clients: of Toss, of the login service's keys, of the merchant's endpoint. e2e is all test.
    ("reqwest", &["toss", "api", "worker", "e2e"]),
    ("apalis", &["queue", "worker", "e2e"]),
    // For pools and transactions; the SQL itself is in fewer places, see `sources`.
    ("sqlx", &["queue", "common", "api", "worker", "ops", "e2e"]),
    ("openssl", &[]),
];

pub(crate) fn findings(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let packages = packages(metadata)?;
    Ok(packages.iter().flat_map(|package| [directions(package), owned(package)].concat()).collect())
}

fn directions(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some((_, allowed)) = DIRECTIONS.iter().find(|(listed, _)| listed == name) else {
        return vec![format!(
            "{name}: a new crate; say in xtask/src/checks/boundaries.rs whom it may depend on"
        )];
    };
    let wrong = |one: &&Dependency| one.ours && !allowed.contains(&one.name.as_str());
    let wrong = package.dependencies.iter().filter(wrong);
    wrong.map(|one| format!("{name} may not depend on {} (architecture: folders)", one.name)).collect()
}

fn owned(package: &Package) -> Vec<String> {
    let mut findings = Vec::new();
    for one in package.dependencies.iter().filter(|one| !one.dev && !one.ours) {
        for (library, owners) in OWNED {
            if is_part_of(&one.name, library) && !owners.contains(&package.name.as_str()) {
                findings.push(format!(
                    "{} may not have {} (only: {})",
                    package.name,
                    one.name,
                    owners.join(", ")
                ));
            }
        }
    }
    findings
}

fn is_part_of(name: &str, library: &str) -> bool {
    name.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: &Value) -> Value {
        json!({ "packages": [{ "name": name, "dependencies": dependencies }] })
    }

    fn found(name: &str, dependencies: &Value) -> Vec<String> {
        findings(&package(name, dependencies)).unwrap()
    }

    #[test]
    fn a_dependency_against_the_direction_is_found_in_tests_too() {
        let toss = json!([{ "name": "toss", "path": "/p/toss" }]);
        assert_eq!(found("api", &toss), ["api may not depend on toss (architecture: folders)"]);
        let sandbox = json!([{ "name": "sandbox", "path": "/p/sandbox", "kind": "dev" }]);
        assert_eq!(found("toss", &sandbox).len(), 1);
    }

    #[test]
    fn a_dependency_in_the_direction_is_no_finding() {
        let common = json!([{ "name": "common", "path": "/p/common" }, { "name": "sqlx" }]);
        assert_eq!(found("api", &common), Vec::<String>::new());
    }

    #[test]
    fn a_library_that_another_crate_owns_is_found_but_not_in_tests() {
        assert_eq!(found("common", &json!([{ "name": "reqwest" }])).len(), 1);
        assert_eq!(found("common", &json!([{ "name": "apalis-core", "kind": "build" }])).len(), 1);
        assert_eq!(found("common", &json!([{ "name": "reqwest", "kind": "dev" }])).len(), 0);
    }

    #[test]
    fn a_crate_that_nobody_placed_is_a_finding() {
        assert_eq!(found("new", &json!([])).len(), 1);
    }
}
