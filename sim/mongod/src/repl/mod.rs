//! Replication: terms, elections, the journal, the commit point, rollback. It knows entries, not what is in them.
//!
//! [`core`] decides, without a socket, a file or a clock.

mod beat;
pub mod core;
mod election;
pub mod event;
pub mod history;
pub mod message;
mod pull;
pub mod record;
mod serve;
pub mod settings;
pub mod witness;

#[cfg(test)]
mod tests;

pub use self::core::{Core, Identity};
pub use event::{Input, Now, Output, Recovered, Vote, Write};
pub use history::{History, Record};
pub use settings::{Faulty, Id, Settings};
pub use witness::{Counts, Witness};
