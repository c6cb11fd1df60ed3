//! The workspace's crates and their dependencies, as `cargo metadata` lists them.

use anyhow::Context;
use serde_json::Value;

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

pub(crate) struct Dependency {
    pub(crate) name: String,
    /// One of ours: a folder of this workspace.
    pub(crate) ours: bool,
    /// Only for tests.
    pub(crate) dev: bool,
}

pub(crate) fn packages(metadata: &Value) -> anyhow::Result<Vec<Package>> {
    list(metadata, "packages").iter().map(package).collect()
}

fn package(value: &Value) -> anyhow::Result<Package> {
    let dependencies = list(value, "dependencies").iter().map(dependency).collect::<anyhow::Result<_>>()?;
    Ok(Package { name: name(value)?, dependencies })
}

fn dependency(value: &Value) -> anyhow::Result<Dependency> {
    let ours = value.get("path").is_some_and(Value::is_string);
    let dev = value.get("kind").and_then(Value::as_str) == Some("dev");
    Ok(Dependency { name: name(value)?, ours, dev })
}

fn name(value: &Value) -> anyhow::Result<String> {
    let name =
        value.get("name").and_then(Value::as_str).context("cargo metadata lists something without a name")?;
    Ok(name.to_owned())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
