//! Each command against PostgreSQL: what it answers, and what it leaves behind.

#![cfg(test)]
#![cfg(test)]

mod audit;
mod charging;
mod clock;
mod customer;
mod doctor;
mod emails;
mod end;
mod events;
mod import;
mod import_report;
mod invoices;
mod jobs;
mod plans;
mod program;
mod reconcile;
mod reprice;
mod scan;
mod seed;
mod setup;
mod subscription_history;
