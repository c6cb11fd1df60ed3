//! Headings, times and the closing line of a run of checks.

use std::time::Instant;

use anyhow::Context;

pub(crate) struct Steps {
    total: usize,
    done: usize,
    begun: Instant,
}

impl Steps {
    pub(crate) fn of(total: usize) -> Self {
        Self { total, done: 0, begun: Instant::now() }
    }

    /// Runs one check under its heading. Its error names it, and ends the run.
    pub(crate) fn run(
        &mut self,
        name: &str,
        check: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let number = self.done + 1;
        println!("\n== {number}/{} {name}", self.total);
        let begun = Instant::now();
        check().with_context(|| format!("check {number}/{} failed: {name}", self.total))?;
        println!("   ok: {name}, {:.1} s", begun.elapsed().as_secs_f64());
        self.done = number;
        Ok(())
    }

    pub(crate) fn finish(&self) {
        println!(
            "\nAll {} of {} checks passed in {:.0} s.",
            self.done,
            self.total,
            self.begun.elapsed().as_secs_f64()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_check_is_named_and_ends_the_run() {
        let mut steps = Steps::of(2);
        steps.run("first", || Ok(())).unwrap();
        let error = steps.run("second", || anyhow::bail!("because")).unwrap_err();
        assert_eq!(format!("{error:#}"), "check 2/2 failed: second: because");
        assert_eq!(steps.done, 1);
    }
}
