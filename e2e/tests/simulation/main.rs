//! A seeded simulation of the whole system: workers stepped message by message, a faulty gateway, deaths, a clock that
//! jumps. After each seed the promises are checked. `SEEDS=n` runs n of them, `SEED=k` runs one and prints its story.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod database;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod life;
#[cfg(test)]
mod marks;
#[cfg(test)]
mod money;
#[cfg(test)]
mod people;
#[cfg(test)]
mod process;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod settle;
#[cfg(test)]
mod story;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod wire;
