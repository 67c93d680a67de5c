//! The claims, by group. Each gets a fresh store and panics when the promise it is named after is broken.

pub mod annotations;
pub mod bodies;
pub mod directory;
pub mod expiry;
pub mod feed;
pub mod flags;
pub mod hints;
pub mod isolation;
pub mod lifecycle;
pub mod mailboxes;
pub mod messages;
pub mod operations;
pub mod order;
pub mod quota;
pub mod restart;
pub mod transfer;
