//! `cargo xtask bench`: figures of the release build, beside those of PostgreSQL itself on the same machine. With `--compare` also
//! beside those of another commit, in turns.

mod compare;
mod driver;

use crate::postgres::{Postgres, Purpose};
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

pub(crate) use self::driver::Options;
use self::driver::{PACKAGES, command};

pub(crate) fn bench(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("bench")?;
    let postgres = Postgres::open(project, Purpose::Bench)?;
    if let Some(commit) = &options.compare {
        return compare::compare(options, commit, project, &postgres, stop);
    }
    let driver = project.build_driver("bench", &PACKAGES, stop)?;
    let mut bench = command(options, &driver, project, &postgres)?;
    if options.json {
        bench.arg("--json");
    }
    process::run(&mut bench, stop)
}
