//! Rules, storage, job types, clock, configuration, e-mails and the HTTP server, shared by every process.

pub mod clock;
pub mod clock_follower;
pub mod commands;
pub mod config;
pub mod domain;
pub mod email;
pub mod http_server;
pub mod id;
pub mod jobs;
pub mod logging;
pub mod mailer;
pub mod outbox;
pub mod seal;
pub mod secret_token;
pub mod store;
pub mod visible_text;
pub mod webhook;

/// The job table, for crates that know it through this one only.
pub use queue;
