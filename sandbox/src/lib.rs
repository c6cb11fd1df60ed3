//! Toss Payments with memory: a server that behaves like Toss's core API, can be told to misbehave, and counts the money.
//!
//! Everything lives in memory, under one lock. Three ways in:
//! * the Toss paths (`/v1/*`), for the program under test;
//! * scripting, over HTTP (`/sandbox/*`) or as methods of [`Script`], for tests and demos;
//! * the browser's side (`/v2/standard` and a payment window).
//!
//! Only test keys are accepted; no money moves anywhere.

mod api;
mod auth_keys;
mod billing;
mod browser;
mod cards;
mod clock;
mod config;
mod connection;
mod faults;
mod http;
mod idempotency;
mod ids;
mod keys;
mod ledger;
mod limiter;
mod payment_json;
mod payments;
mod refusal;
mod script;
mod server;
mod state;
mod switches;
mod virtual_account;
mod webhook_dispatcher;
mod webhooks;

pub use cards::Outcome;
pub use config::{Checked, Config, ConfigErrors, Settings, Shop};
pub use faults::{AnswerTiming, Effect, Fault};
pub use ledger::{Entry, EntryKind, Ledger, LedgerQuery, Operation, RequestCount};
pub use refusal::Refusal;
pub use script::{CardRegistration, IssuedKey, Method, OpenPayment, Purchase, Script};
pub use server::Sandbox;
pub use switches::{FailedChargeLookup, OverdueDeposit, Switches};
pub use webhooks::{Delivery, DeliveryState, Webhook};
