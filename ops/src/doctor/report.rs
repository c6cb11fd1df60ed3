//! The report of `billing doctor`: one finding for each thing that was looked at.

use std::fmt;

use serde::Serialize;

use crate::text::plain;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// Nothing is stopped yet.
    Warning,
    /// Something does not work, or waits for a person.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Stable, for programs.
    pub code: &'static str,
    pub level: Level,
    pub message: String,
    /// What to do; empty where nothing is to be done.
    pub mend: String,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn ok(&mut self, code: &'static str, message: impl Into<String>) {
        let (message, mend) = (message.into(), String::new());
        self.findings.push(Finding { code, level: Level::Ok, message, mend });
    }

    pub(super) fn warn(&mut self, code: &'static str, message: impl Into<String>, mend: impl Into<String>) {
        let (message, mend) = (message.into(), mend.into());
        self.findings.push(Finding { code, level: Level::Warning, message, mend });
    }

    pub(super) fn fault(&mut self, code: &'static str, message: impl Into<String>, mend: impl Into<String>) {
        let (message, mend) = (message.into(), mend.into());
        self.findings.push(Finding { code, level: Level::Fault, message, mend });
    }

    pub(super) fn faults(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Fault).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let level = match finding.level {
                Level::Ok => "ok     ",
                Level::Warning => "warning",
                Level::Fault => "FAULT  ",
            };
            writeln!(f, "{level}  {:<21} {}", finding.code, plain(&finding.message))?;
            if !finding.mend.is_empty() {
                writeln!(f, "{:33}{}", "", finding.mend)?;
            }
        }
        Ok(())
    }
}
