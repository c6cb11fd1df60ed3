//! Each command against PostgreSQL: what it answers, and what it leaves behind.

#[cfg(test)]
mod charging;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod customer;
#[cfg(test)]
mod end;
#[cfg(test)]
mod events;
#[cfg(test)]
mod import;
#[cfg(test)]
mod import_report;
#[cfg(test)]
mod invoices;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod program;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod reprice;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod story;
