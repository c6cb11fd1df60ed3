//! The billing API: validates, records, enqueues, answers. It holds no secret of Toss, of sealing or of mail.

mod answers;
mod app;
mod auth;
mod caller;
mod config;
mod console;
mod error;
mod error_mapping;
mod language;
mod metrics;
mod middleware;
mod openapi;
mod page;
mod problem;
mod rate_limit;
mod request;
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
pub use console::{Access, ROUTES as CONSOLE_ROUTES, Route};
pub use openapi::document as openapi_document;
pub use router::router;
pub use run::run;
pub use serve::serve;
