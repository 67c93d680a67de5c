//! The cluster's backend: a MongoDB replica set that any number of nodes work on.
//!
//! A mutation is one transaction. It takes the mailbox first, so that writers to one mailbox commit in the order of
//! their UIDs and modseqs, and it ends with the record of its outcome, so that whatever becomes of the reply, running it
//! again answers the same. Mutations of one account wait for each other within a node, and appends are committed
//! together. Reads are of one moment and only of what a majority has made durable.
//!
//! `db` is all that speaks to MongoDB. docs/adr/0004 has the schema and why it is so.

mod audit;
mod bodies;
mod content;
#[doc(hidden)] // For the suite that compares the servers it may run on.
pub mod db;
mod directory;
mod doc;
mod documents;
mod examine;
mod fail;
mod feed;
mod garbage;
mod group;
mod growth;
mod keys;
mod lease;
mod lookups;
mod mailboxes;
mod maintenance;
mod messages;
mod mistakes;
mod operate;
mod operations;
mod options;
mod poll;
mod queue;
mod records;
mod schema;
mod steps;
mod store;
mod transfer;
mod tx;
mod view;

pub use db::Settings as Timing;
pub use mistakes::Mistakes;
pub use operate::MongoCluster;
pub use options::MongoOptions;
pub use poll::LOOKS_EVERY;
pub use store::{MongoStore, OpenError, drop_database};
