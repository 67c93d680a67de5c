//! Strategies for the property tests, which stand in `tests/`.

mod config;
mod sled_backend;
pub mod store_ops;

pub use config::config;
pub use sled_backend::SledBackend;
