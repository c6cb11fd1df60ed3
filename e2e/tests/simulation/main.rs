//! A seeded simulation of the whole system: workers run statement by statement beside API requests, with a faulty gateway,
//! killed processes and a clock that jumps. After each seed the invariants I1 to I8 are checked (`final_invariants.rs`).
//!
//! `cargo xtask chaos --seeds n` runs n seeds, `--seed k` runs one and prints its trace. The test reads `SEEDS`, `SEED` (the
//! first seed) and `WITHOUT` (statements that drop a fence first).

#![cfg(test)]
#![cfg(test)]

mod api_requests;
mod cards;
mod customer_actions;
mod customers;
mod database;
mod deposits;
mod faults;
mod final_invariants;
mod gateway_proxy;
mod imports;
mod invariants;
mod ledgers;
mod manual_sql;
mod operator_actions;
mod oracle;
mod plan_changes;
mod postgres_messages;
mod postgres_proxy;
mod rng;
mod run_loop;
mod seeds;
mod simulation;
mod statement_recorder;
mod task_driver;
mod testbed;
mod trace;
mod webhooks;
