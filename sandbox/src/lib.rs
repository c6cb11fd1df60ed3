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
mod deliver;
mod faults;
mod http;
mod idempotency;
mod ids;
mod keys;
mod ledger;
mod limiter;
mod line;
mod payment_json;
mod payments;
mod refusal;
mod script;
mod server;
mod switches;
mod webhooks;
mod world;

pub use cards::Outcome;
pub use config::{Checked, Config, ConfigErrors, Settings, Shop};
pub use faults::{Effect, Fault, Late};
pub use ledger::{Asked, Entry, EntryKind, Ledger, LedgerQuery, Operation};
pub use refusal::Refusal;
pub use script::{CardRegistration, IssuedKey, OpenPayment, Purchase, Script};
pub use server::Sandbox;
pub use switches::{FailedChargeLookup, Switches};
pub use webhooks::{Delivery, DeliveryState, Webhook};
