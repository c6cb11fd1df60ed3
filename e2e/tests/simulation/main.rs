//! A seeded simulation of the whole system: workers stepped message by message, a faulty gateway, deaths, a clock that
//! jumps. After each seed the promises are checked. `cargo xtask chaos --seeds n` runs n of them,
//! `--seed k` runs one and tells its story. This hears `SEEDS`, `SEED`, the first one's number, and
//! `WITHOUT`, statements that take a fence down first.

#[cfg(test)]
mod asked;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod cards;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod customers;
#[cfg(test)]
mod database;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod end;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod life;
#[cfg(test)]
mod marks;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod money;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod people;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod post;
#[cfg(test)]
mod process;
#[cfg(test)]
mod rash;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod settle;
#[cfg(test)]
mod story;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod wishes;
