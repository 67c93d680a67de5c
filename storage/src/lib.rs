//! The mail store of Gadwall.
//!
//! [`MailStore`] is the seam between the protocol engines and the backends. It knows mail: accounts,
//! mailboxes, messages with UIDs, modseqs and flags, and a journal of changes. It deliberately knows
//! no protocol, no sockets and no response texts; time and randomness are handed in.

pub mod body;
mod clock;
mod cluster;
pub mod contract;
mod documents;
mod error;
mod hints;
mod lookups;
pub mod memory;
pub mod mime;
mod model;
pub mod mongo;
pub mod operate;
mod records;
pub mod redis;
pub mod sled;
mod store;
mod uidset;

pub use clock::{Clock, Entropy, ManualClock, SeededEntropy, SystemClock, SystemEntropy, Timestamp};
pub use cluster::{Count, Counters, HintBus, LOOKUP_LIMIT, LocalCounters, Lookups, Window};
pub use documents::{DOCUMENT_LIMIT, Document, Documents};
pub use error::{Result, StoreError, Subject};
pub use hints::HintHub;
pub use lookups::LocalLookups;
pub use model::*;
pub use store::*;
pub use uidset::UidSet;
