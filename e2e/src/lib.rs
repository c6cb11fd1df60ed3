//! The whole system under load and under fire: what the programs `chaos` and `bench` are made of. The guarantees
//! themselves are the tests in `tests/`.

pub mod bank;
pub mod bench;
pub mod chaos;
pub mod database;
pub mod process;
pub mod subscribers;
pub mod table;
