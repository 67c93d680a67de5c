//! Strategies for the property tests, which stand in `tests/`.

pub mod store_ops;
