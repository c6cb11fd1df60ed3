//! The worker: runs the jobs, calls Toss, records its answers, sends the e-mails. Any number may run side by side.

mod background;
mod bulk;
mod card;
mod charge;
pub mod config;
pub mod crash;
mod daily;
mod email;
pub mod email_batches;
pub mod endpoint;
pub mod env;
mod error;
mod events;
pub mod gateway;
mod http;
pub mod jobs;
pub mod maintenance;
mod notifications;
mod reconcile;
mod refund;
pub mod run;
pub mod scheduler;
pub mod sweep;
mod webhook;
