//! `billing doctor`: looks at everything that this program can see, and says for each finding how to mend it.

mod database;
mod report;
mod rows;

use std::time::Duration;

use common::config::{read_brand, read_mail};
use common::mailer::Mailer;

pub use report::{Finding, Level, Report};

use crate::{OpsError, config, session::Session};

const MAIL_TIMEOUT: Duration = Duration::from_mins(1);

/// Exit 1 where a fault was found.
pub async fn run(session: &Session) -> Result<String, OpsError> {
    let report = examine(session).await?;
    let printed = session.print(&report)?;
    match report.faults() {
        0 => Ok(printed),
        faults => Err(OpsError::Reported {
            code: "faults_found",
            report: printed,
            message: format!("{faults} faults found"),
        }),
    }
}

async fn examine(session: &Session) -> Result<Report, OpsError> {
    let mut report = Report::default();
    examine_configuration(session, &mut report).await;
    examine_mail(session, &mut report).await;
    database::examine(session, &mut report).await?;
    Ok(report)
}

/// The variables are those of this command's environment: run it where the programs run.
async fn examine_configuration(session: &Session, report: &mut Report) {
    match config::check(session).await {
        Ok(checked) if checked.mistakes.is_empty() => {
            report.ok("configuration", "the variables of the API and the worker are right");
        }
        Ok(checked) => {
            for mistake in checked.mistakes {
                let who = mistake.programs.join(", ");
                report.warn(
                    "configuration",
                    format!("{} ({who})", mistake.message),
                    "set it, unless this is not the environment of that program",
                );
            }
        }
        Err(error) => {
            report.warn("configuration", error.to_string(), "run `billing` from the folder of the programs");
        }
    }
}

async fn examine_mail(session: &Session, report: &mut Report) {
    let mut vars = session.vars();
    if vars.optional("MAIL_URL").is_none() {
        return report.ok("mail", "MAIL_URL is not set here: the mail server was not asked");
    }
    let brand = read_brand(&mut vars);
    // A mistake in the variables is among the findings already.
    let Some((route, from)) = read_mail(&mut vars, brand.as_ref()) else { return };
    let mailer = Mailer::new(route, from);
    match tokio::time::timeout(MAIL_TIMEOUT, mailer.check()).await {
        Ok(Ok(found)) => report.ok("mail", found),
        Ok(Err(error)) => report.fault(
            "mail",
            format!("the mail server cannot be used: {error}"),
            "mend MAIL_URL, MAIL_FROM or the server; e-mails wait meanwhile and go out by themselves",
        ),
        Err(_) => report.fault("mail", "the mail server does not answer", "mend MAIL_URL or the server"),
    }
}
