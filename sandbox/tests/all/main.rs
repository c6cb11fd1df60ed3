//! The sandbox seen from outside: over HTTP, as the program under test and a test's author see it.

#[cfg(test)]
mod billing;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod confirm;
#[cfg(test)]
mod door;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod other_client;
#[cfg(test)]
mod program;
#[cfg(test)]
mod scripting;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod webhooks;
