//! Strategies for the property tests, which stand in `tests/`.

mod config;
pub mod imap;
pub mod mime;
pub mod sessions;
mod sled_backend;
pub mod store_ops;
pub mod view;
pub mod world;

pub use config::config;
pub use sled_backend::SledBackend;
