//! `cargo xtask bench --compare COMMIT`: measures another commit and this folder in turns on the same cluster, so that whatever
//! else the machine does meets both.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::driver::{Options, PACKAGES, command};
use crate::postgres::Postgres;
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

/// As the driver prints it.
#[derive(Debug, Clone, Deserialize)]
struct Figure {
    what: String,
    value: f64,
    unit: String,
}

/// One figure of both commits: medians of all runs.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    what: String,
    unit: String,
    before: f64,
    after: f64,
    /// 2 is twice as good as before, whatever the unit.
    ratio: f64,
}

pub(super) fn compare(
    options: &Options,
    commit: &str,
    project: &Project,
    postgres: &Postgres,
    stop: &Stop,
) -> anyhow::Result<()> {
    let other = check_out(project, commit, stop)?;
    eprintln!("{commit}:");
    let before = other.build_driver("bench", &PACKAGES, stop)?;
    eprintln!("This folder:");
    let after = project.build_driver("bench", &PACKAGES, stop)?;
    let (mut of_before, mut of_after) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        of_before.extend(measure(options, &before, project, postgres, stop)?);
        of_after.extend(measure(options, &after, project, postgres, stop)?);
    }
    let compared = compare_figures(&of_before, &of_after);
    if !options.json {
        for Compared { what, unit, before, after, ratio } in &compared {
            println!("{what}: {before:.2} → {after:.2} {unit} (×{ratio:.2})");
        }
    }
    println!("{}", serde_json::to_string_pretty(&compared)?);
    Ok(())
}

/// A work tree of the commit under `.dev`, kept for the next time.
fn check_out(project: &Project, commit: &str, stop: &Stop) -> anyhow::Result<Project> {
    let mut name = Command::new("git");
    name.current_dir(&project.root).args([
        "rev-parse",
        "--short",
        "--verify",
        &format!("{commit}^{{commit}}"),
    ]);
    let id = process::output(&mut name)?.trim().to_owned();
    let folder: PathBuf = project.dev()?.join("compare").join(&id);
    if !folder.exists() {
        let mut add = Command::new("git");
        add.current_dir(&project.root).args(["worktree", "add", "--quiet", "--detach"]).arg(&folder).arg(&id);
        process::run(&mut add, stop)?;
    }
    Project::at(folder)
}

fn measure(
    options: &Options,
    driver: &Path,
    project: &Project,
    postgres: &Postgres,
    stop: &Stop,
) -> anyhow::Result<Vec<Figure>> {
    let file = project.dev()?.join("compare").join("figures.json");
    let mut bench = command(options, driver, project, postgres)?;
    bench.arg("--json").stdout(File::create(&file).context("cannot write the figures")?);
    process::run(&mut bench, stop)?;
    serde_json::from_str(&fs::read_to_string(&file)?).context("cannot read the figures")
}

/// The figures that both have, in the order of the first.
fn compare_figures(before: &[Figure], after: &[Figure]) -> Vec<Compared> {
    let mut compared: Vec<Compared> = Vec::new();
    for Figure { what, unit, .. } in before {
        if compared.iter().any(|known| known.what == *what) {
            continue;
        }
        let (Some(before), Some(after)) = (median(before, what), median(after, what)) else { continue };
        let ratio = if unit == "perSecond" { after / before } else { before / after };
        compared.push(Compared { what: what.clone(), unit: unit.clone(), before, after, ratio });
    }
    compared
}

fn median(figures: &[Figure], what: &str) -> Option<f64> {
    let mut values: Vec<f64> =
        figures.iter().filter(|figure| figure.what == what).map(|figure| figure.value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(what: &str, unit: &str, value: f64) -> Figure {
        Figure { what: what.to_owned(), unit: unit.to_owned(), value }
    }

    #[test]
    fn medians_are_compared_and_twice_as_good_is_two() {
        let rates = |values: [f64; 3]| values.map(|value| figure("charges", "perSecond", value));
        let compared = compare_figures(&rates([1.0, 90.0, 3.0]), &rates([6.0, 5.0, 80.0]));
        assert_eq!((compared.len(), compared[0].before, compared[0].after), (1, 3.0, 6.0));
        assert!((compared[0].ratio - 2.0).abs() < 1e-9);
        let wait = |value| [figure("wait", "milliseconds", value)];
        assert!((compare_figures(&wait(8.0), &wait(4.0))[0].ratio - 2.0).abs() < 1e-9);
        assert!(compare_figures(&wait(8.0), &rates([1.0, 1.0, 1.0])).is_empty());
    }
}
