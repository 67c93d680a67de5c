//! The scenarios.

pub mod cluster;
pub mod compare;
pub mod fetch;
pub mod idle;
pub mod ingest;
pub mod lookups;
pub mod many;
pub mod placement;
pub mod startup;
