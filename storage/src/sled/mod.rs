//! The embedded backend: metadata in one sled tree, message content in append-only segment files beside it.
//!
//! One thread commits. It runs the mutations that wait against an overlay, applies them as one atomic batch, makes the
//! batch durable (docs/adr/0002) and only then answers: concurrent writers share one fsync. While a batch is being
//! made durable no reader looks, so that nobody sees what a power cut could take back.
//!
//! It deliberately knows no protocol and keeps nothing in memory that grows with the mail: what is needed is read.

mod audit;
mod content;
mod db;
mod directory;
mod documents;
mod feed;
mod keys;
mod look;
mod mailboxes;
mod maintenance;
mod messages;
mod open;
mod operations;
mod records;
mod segments;
mod store;
mod transfer;
mod tx;
mod writer;

pub use open::{OpenError, SledOptions};
pub use store::SledStore;
