//! The operators' console at `/console`: pages rendered here, one style sheet and one small script. It calls nothing but the
//! database: actions are recorded and enqueued, as everywhere in the API.

mod act;
mod action_record;
mod action_words;
mod assets;
mod bulk;
mod calendar;
mod cell;
mod charts;
mod clock;
mod details;
mod failure;
mod failure_page;
mod failures;
mod format;
mod guard;
mod link;
mod list;
mod lists;
mod login;
mod login_attempts;
mod money_lists;
mod origin;
mod page;
mod password;
mod routes;
mod search;
mod second_factor;
mod session;
mod settings;
mod slow_reads;
mod subscription;
mod timeline;
mod today;
mod toss_code;

pub(crate) use charts::Charts;
pub(crate) use failure_page::finish;
pub use guard::Access;
pub(crate) use password::Passwords;
pub(crate) use routes::router;
pub use routes::{ROUTES, Route};
pub(crate) use session::{Client, address as client_address};
pub(crate) use slow_reads::SlowReads;

/// Whether a path belongs to the console, whose failures are pages and not problem documents.
pub(crate) fn is_console(path: &str) -> bool {
    path.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
