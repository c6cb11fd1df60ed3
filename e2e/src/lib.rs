//! The parts of the programs `chaos` and `bench`, which run the whole system under faults and under load. The guarantees
//! are tested in `tests/`.

pub mod bank;
pub mod bench;
pub mod chaos;
pub mod counting_proxy;
pub mod database;
pub mod orders;
pub mod process;
pub mod subscribers;
pub mod table;
