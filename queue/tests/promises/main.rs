//! What the queue promises, each promise against a real PostgreSQL.

#[cfg(test)]
mod claims;
#[cfg(test)]
mod database_away;
#[cfg(test)]
mod enqueues;
#[cfg(test)]
mod handlers;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod prunes;
#[cfg(test)]
mod rescues;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod support;
#[cfg(test)]
mod ten_thousand;
