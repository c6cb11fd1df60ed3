//! The billing API: validates, records, enqueues, answers. It holds no secret of Toss, of sealing or of mail.

mod answer;
mod answer_card;
mod app;
mod auth;
mod body;
mod change_problem;
mod config;
mod cors;
mod edge;
mod error;
mod input;
mod language;
mod limiter;
mod metrics;
mod openapi;
mod origin;
mod page;
mod problem;
mod refusals;
mod router;
mod routes;
mod run;
mod serve;
mod settlements;
mod trace_id;
mod views;

pub use app::{App, Settings};
pub use auth::{AuthSettings, KeySource};
pub use config::{Config, VARIABLES};
pub use openapi::document as openapi_document;
pub use router::router;
pub use run::run;
pub use serve::serve;
