//! The API over HTTP, each test on a database of its own. The worker's part is played by what it would write.

#![cfg(test)]

mod bad_input;
mod cancels;
mod confirms;
mod console;
mod cors;
mod cron;
mod customers;
mod database_away;
mod ends;
mod limits;
mod lists;
mod new_cards;
mod plan_changes;
mod problems;
mod published_keys;
mod purchases;
mod refunds;
mod resumes;
mod subscribes;
mod support;
mod tokens;
mod webhooks;
mod worker;
