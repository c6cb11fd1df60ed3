//! The sandbox seen from outside: over HTTP, as the program under test and a test's author see it.

#![cfg(test)]
#![cfg(test)]

mod admission;
mod billing;
mod browser;
mod cancel;
mod confirm;
mod faults;
mod harness;
mod idempotency;
mod other_client;
mod program;
mod scripting;
mod shop;
mod virtual_accounts;
mod webhooks;
