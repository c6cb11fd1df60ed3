//! What the queue promises, each promise against a real PostgreSQL.

#![cfg(test)]

mod claims;
mod database_away;
mod enqueues;
mod handlers;
mod operators;
mod outcomes;
mod prunes;
mod rescues;
mod stops;
mod support;
mod ten_thousand;
