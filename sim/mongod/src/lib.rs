//! A simulated member of a MongoDB replica set.
//!
//! It speaks OP_MSG to an unmodified driver, over the engines' `Net`: so it runs in the simulation and, as a real
//! process on real ports, in the drill. What it does not know it refuses loudly.
//!
//! Two halves meet in [`Log`]: the engine (documents, queries, transactions, sessions) works on a store that is
//! nothing but the log applied, entry by entry; replication (terms, votes, the journal, the commit point, rollback)
//! knows entries, not what is in them. [`Replica`] is both, with one port for drivers and other members;
//! [`Standalone`] stands in for replication where a set has one member.

pub mod disk;
pub mod engine;
pub mod log;
pub mod member;
pub mod oplog;
pub mod repl;
pub mod replica;
pub mod standalone;
pub mod wire;

pub use disk::Disk;
pub use engine::Engine;
pub use log::{Log, Refusal, StepDown, Wait};
pub use member::{Internal, Member, serve, serve_on};
pub use oplog::{Body, Entry, Op, OpTime, SessionRecord};
pub use replica::{Replica, run_replica};
pub use standalone::Standalone;
