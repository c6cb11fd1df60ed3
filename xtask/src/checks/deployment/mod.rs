//! The variables in the files that put the system on other machines: each is one that a program reads, and documented.

mod variables;

use std::fs;

use anyhow::Context;

use crate::project::Project;

pub(crate) fn findings(project: &Project) -> anyhow::Result<Vec<String>> {
    let read = |name: &str| {
        fs::read_to_string(project.root.join(name)).with_context(|| format!("cannot read {name}"))
    };
    Ok(variables::findings(&read("docker-compose.yml")?, &read(".env.example")?, &read("README.md")?))
}
