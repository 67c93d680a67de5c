//! Replication: terms, elections, the journal, the commit point, rollback. It knows entries, not what is in them.
//!
//! [`core`] decides, without a socket, a file or a clock. [`driver`] has those, and no opinion.

mod beat;
pub mod core;
mod documents;
pub mod driver;
mod election;
pub mod event;
pub mod history;
pub mod host;
pub mod journal;
mod lane;
pub mod message;
mod pull;
pub mod record;
mod replica_log;
mod serve;
pub mod settings;
pub mod witness;

#[cfg(test)]
mod tests;

pub use self::core::{Core, Identity};
/// What answers the other members' commands.
pub use crate::member::Internal;
pub use driver::{Fatal, Machine, Replication};
pub use event::{Input, Now, Output, Recovered, Vote, Write};
pub use history::{History, Record};
pub use host::{Host, StateMachine};
pub use replica_log::ReplicaLog;
pub use settings::{Faulty, Id, Settings};
pub use witness::{Counts, Observer, Witness};
