//! Which errors of PostgreSQL mean "not now", and which sessions are not used again after one.
//!
//! Sources: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds of process time at which sessions were last found unfit; 0: never.
static UNFIT_AT: AtomicU64 = AtomicU64::new(0);
/// How often sessions were found unfit.
static FOUND_UNFIT: AtomicU64 = AtomicU64::new(0);
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The closed list. Every other code is a bug of ours, or a constraint that refused the write.
pub(super) fn means_not_now(code: &str) -> bool {
    match code {
        // A standby or a read-only database after a failover: a new session may reach the new primary.
        "25006"
        // "cached plan must not change result type", and a statement that another session of a pooler had prepared.
        | "0A000" | "26000"
        // The limits of this session: statement_timeout or a cancel, lock_timeout, idle_in_transaction_session_timeout.
        | "57014" | "55P03" | "25P03" | "25P04"
        // Serialization failure, statement completion unknown, deadlock.
        | "40001" | "40003" | "40P01"
        // Object in use: maintenance holds a table for the moment.
        | "55006" => true,
        // 08: connection. 53: out of connections, memory or disk. 57P: shutting down or starting up. 58: the system below.
        code => ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)),
    }
}

/// Whether the same write is refused again whenever it is tried: a value that no column takes, or a constraint or trigger
/// that forbids it.
pub(super) fn means_refused(code: &str) -> bool {
    // 22: data. 23: integrity constraints. 44: check option. P0001: raised by a trigger of ours.
    code == "P0001" || ["22", "23", "44"].iter().any(|class| code.starts_with(class))
}

/// Whether somebody else holds a row, or the statement took too long: fewer rows at once may go through.
pub(super) fn means_held_up(code: &str) -> bool {
    matches!(code, "55P03" | "57014" | "40P01")
}

/// Whether the same statement may succeed on a session that is opened now.
pub(super) fn means_unfit(code: &str) -> bool {
    match code {
        // The session's own state: read-only after a failover, stale plans, statements that it does not know.
        "25006" | "0A000" | "26000"
        // The server cut the session: an administrator's command, or a crash of another one.
        | "57P01" | "57P02" => true,
        _ => false,
    }
}

/// Sessions that exist now are closed instead of used again.
pub(super) fn mark_sessions_unfit() {
    UNFIT_AT.store(now().max(1), Ordering::Release);
    FOUND_UNFIT.fetch_add(1, Ordering::AcqRel);
}

pub(super) fn found_unfit() -> u64 {
    FOUND_UNFIT.load(Ordering::Acquire)
}

/// Whether a session of this age was opened before sessions were found unfit.
pub(super) fn is_unfit(age: Duration) -> bool {
    let unfit_at = UNFIT_AT.load(Ordering::Acquire);
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    unfit_at > 0 && now().saturating_sub(age) <= unfit_at
}

fn now() -> u64 {
    u64::try_from(STARTED.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_and_constraints_refuse_a_write_for_good() {
        for code in ["22001", "23505", "23514", "44000", "P0001"] {
            assert!(means_refused(code), "{code}");
        }
        for code in ["08006", "25006", "42P01", "42501", "53100", "XX000", "0A000", "25P02"] {
            assert!(!means_refused(code), "{code}");
        }
    }

    #[test]
    fn what_the_database_cannot_do_now_is_no_bug() {
        for code in ["08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "0A000"]
        {
            assert!(means_not_now(code), "{code}");
        }
        for code in ["23505", "23514", "42P01", "42703", "22P02", "25P02", "P0001"] {
            assert!(!means_not_now(code), "{code}");
        }
    }

    #[test]
    fn a_session_that_was_cut_is_not_used_again() {
        for code in ["25006", "0A000", "26000", "57P01", "57P02"] {
            assert!(means_unfit(code), "{code}");
        }
        // Nothing is wrong with the session: a statement that took too long, a lock, a server that is starting.
        for code in ["57014", "55P03", "40P01", "57P03", "23505"] {
            assert!(!means_unfit(code), "{code}");
        }
    }
}
