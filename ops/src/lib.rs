//! The operators' commands. Each is one file: its arguments, what it does, and its answer as text and as JSON.
//!
//! Functions that write begin and commit for themselves; on a connection inside a transaction, the owner of the
//! transaction commits. `now` is the time of the system ([`system_time::system_now`]), which a test clock may have moved.

pub mod action;
pub mod actions;
pub mod arguments;
pub mod bulk;
pub mod calendar;
pub mod charging;
mod cli;
pub mod clock;
pub mod config;
pub mod consents;
pub mod customer;
pub mod doctor;
pub mod emails;
pub mod end;
pub mod error;
pub mod events;
pub mod healthcheck;
pub mod import;
pub mod instance;
pub mod invoices;
pub mod jobs;
pub mod migrate;
pub mod operator;
pub mod payments;
pub mod plans;
pub mod price_changes;
pub mod reconcile;
pub mod reprice;
pub mod scan;
mod session;
pub mod subscription;
pub mod subscription_history;
pub mod system_time;
mod text;

pub use cli::Cli;
pub use error::OpsError;
pub use session::Session;
pub use text::visible_lines;
