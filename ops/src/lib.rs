//! What operators do, as functions: each takes a connection and answers something that prints as a table or as JSON.
//!
//! Functions that write begin and commit for themselves; given a connection inside a transaction, they leave the last
//! word to its owner. `now` is the system's time ([`moment::now`]), which a test clock may have moved.

pub mod actor;
pub mod charging;
pub mod clock;
pub mod consents;
pub mod customer;
pub mod end;
pub mod error;
pub mod events;
pub mod import;
pub mod instance;
pub mod invoices;
pub mod jobs;
pub mod migrate;
pub mod moment;
pub mod operator;
pub mod plans;
pub mod price_changes;
pub mod reconcile;
pub mod reprice;
pub mod scan;
pub mod settings;
pub mod subscription;
mod subscription_text;
mod table;

pub use error::OpsError;
