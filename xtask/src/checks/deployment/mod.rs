//! The files that put the system on other machines: do they fit each other, the crates and the contract?

mod compose;
mod dockerfile;
mod variables;

use std::fs;

use anyhow::Context;
use serde_json::Value;

use super::manifest::packages;
use crate::project::Project;

pub(crate) fn findings(project: &Project) -> anyhow::Result<Vec<String>> {
    let read = |name: &str| {
        fs::read_to_string(project.root.join(name)).with_context(|| format!("cannot read {name}"))
    };
    let compose_text = read("docker-compose.yml")?;
    let compose: Value = serde_norway::from_str(&compose_text).context("docker-compose.yml is no YAML")?;
    let dockerfile_text = read("Dockerfile")?;
    let example = read(".env.example")?;
    let packages = packages(&project.metadata)?;
    // What measures and torments the system (e2e) is not shipped with it.
    let shipped = packages.iter().filter(|one| one.name != "e2e");
    let binaries: Vec<&str> = shipped.flat_map(|one| &one.binaries).map(String::as_str).collect();
    let manifest: toml::Table = read("Cargo.toml")?.parse().context("Cargo.toml is no TOML")?;
    let rust =
        manifest.get("workspace").and_then(|it| it.get("package")).and_then(|it| it.get("rust-version"));
    let rust = rust.and_then(toml::Value::as_str).context("Cargo.toml names no rust-version")?;

    let installed = dockerfile::installed_binaries(&dockerfile_text);
    Ok([
        dockerfile::findings(&dockerfile_text, &binaries, rust),
        compose::findings(&compose, &installed),
        variables::findings(&compose_text, &example),
    ]
    .concat())
}
