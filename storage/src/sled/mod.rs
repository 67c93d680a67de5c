//! The sled backend: one node, durable.
