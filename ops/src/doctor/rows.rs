//! Rows that wait for a person, or for longer than they should.

use chrono::{DateTime, TimeDelta, Utc};
use common::store::doctor::WaitingRows;

use super::report::Report;

/// A day, and what a long scan takes.
const MAX_SCAN_AGE: TimeDelta = TimeDelta::hours(27);

struct Waiting {
    code: &'static str,
    count: fn(&WaitingRows) -> i64,
    what: &'static str,
    mend: &'static str,
}

const WAITING: [Waiting; 10] = [
    Waiting {
        code: "jobs_parked",
        count: |rows| rows.jobs_parked,
        what: "jobs are parked",
        mend: "`billing jobs list --state parked`, mend the cause, `billing jobs retry`",
    },
    Waiting {
        code: "jobs_late",
        count: |rows| rows.jobs_late,
        what: "jobs have been due for more than ten minutes",
        mend: "start a worker, or look at its log and /healthz",
    },
    Waiting {
        code: "payments_unknown",
        count: |rows| rows.payments_unknown,
        what: "payments have been unknown for more than a day",
        mend: "look their order ids up at Toss (docs/operations.md, payment_in_review)",
    },
    Waiting {
        code: "refunds_unknown",
        count: |rows| rows.refunds_unknown,
        what: "refunds have been unknown for more than a day",
        mend: "look their payments up at Toss",
    },
    Waiting {
        code: "invoices_held",
        count: |rows| rows.invoices_held,
        what: "invoices wait for a decision",
        mend: "`billing invoices held`",
    },
    Waiting {
        code: "emails_waiting",
        count: |rows| rows.emails_waiting,
        what: "e-mails have waited for more than an hour",
        mend: "`billing emails list --waiting 1h` says why; mend the mail server",
    },
    Waiting {
        code: "emails_failed",
        count: |rows| rows.emails_failed,
        what: "e-mails failed in the last day",
        mend: "`billing emails list --status failed`; `billing customer set-email`, `billing emails resend`",
    },
    Waiting {
        code: "webhooks_failed",
        count: |rows| rows.webhooks_failed,
        what: "webhooks of Toss could not be handled in the last day",
        mend: "select * from webhook_events_in where state = 'failed'",
    },
    Waiting {
        code: "events_failed",
        count: |rows| rows.events_failed,
        what: "events were not taken by your application",
        mend: "`billing events list --state failed`, then `billing events replay`",
    },
    Waiting {
        code: "discrepancies_open",
        count: |rows| rows.discrepancies_open,
        what: "differences to Toss's transactions are open",
        mend: "`billing reconcile --open`",
    },
];

pub(super) fn examine(rows: &WaitingRows, now: DateTime<Utc>, report: &mut Report) {
    for Waiting { code, count, what, mend } in &WAITING {
        match count(rows) {
            0 => report.ok(code, format!("no {what}")),
            count => report.fault(code, format!("{count} {what}"), *mend),
        }
    }
    let is_old = rows.last_scan_at.is_none_or(|at| now - at > MAX_SCAN_AGE);
    if rows.renewing > 0 && is_old {
        report.fault(
            "scan_missing",
            "the last daily scan ended more than a day ago",
            "start a worker, or run `billing scan`; look at SCAN_CRON",
        );
    } else {
        report.ok("scan_missing", "the daily scan is not missing");
    }
}
