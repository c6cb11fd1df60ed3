//! The guarantees of the whole system, as tests in `tests/`. The library itself is empty.
