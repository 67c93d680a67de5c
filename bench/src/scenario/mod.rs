//! The scenarios.

pub mod fetch;
pub mod idle;
pub mod ingest;
pub mod many;
pub mod placement;
pub mod startup;
