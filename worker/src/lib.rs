//! The worker: runs the jobs, asks the gateway, records its answers, sends the e-mails. Any number may run side by side.

pub mod config;
pub mod crash;
pub mod endpoint;
pub mod env;
pub mod handlers;
mod http;
pub mod mailer;
mod money;
pub mod pace;
pub mod run;
pub mod scheduler;
pub mod step;
pub mod sweep;
pub mod tidy;
mod wiring;
