//! Entries of the log: what a member does, as documents that came out of it, so that applying one twice is once.

use bson::{Bson, Document, Timestamp};

/// A position in the log. Later terms come after earlier ones; the index goes up by one with each entry.
/// On the wire it is [`OpTime::timestamp`]; within a member, the index is the time that snapshots are taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OpTime {
    pub term: u64,
    pub index: u64,
}

impl OpTime {
    /// As drivers see it: ordered as positions are, so that what a later primary says is later, as MongoDB's cluster
    /// time is. Terms and indexes of a simulation fit.
    pub fn timestamp(self) -> Timestamp {
        let half = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Timestamp { time: half(self.term), increment: half(self.index) }
    }

    pub fn from_timestamp(at: Timestamp) -> Self {
        OpTime { term: at.time.into(), index: at.increment.into() }
    }
}

/// One entry: atomic, whatever it holds. A transaction is one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub at: OpTime,
    /// Milliseconds since 1970 by the clock of the primary that wrote it.
    pub wall_ms: i64,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Written by a new primary, and by a read that has to know that it still is one.
    Noop,
    Write {
        ops: Vec<Op>,
        /// What is remembered of the session's write or transaction.
        session: Option<SessionRecord>,
    },
}

/// A change of one document or collection. `ns` is `database.collection`.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The document as it is from now on.
    Put {
        ns: String,
        document: Document,
    },
    Delete {
        ns: String,
        id: Bson,
    },
    Create {
        ns: String,
    },
    Index {
        ns: String,
        spec: Document,
    },
    DropIndex {
        ns: String,
        name: String,
    },
    Drop {
        ns: String,
    },
}

/// What a session's last retryable write or transaction did: a repetition is answered from it.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    /// The `id` of the `lsid`.
    pub session: Vec<u8>,
    pub number: i64,
    pub is_transaction: bool,
    /// Statement and the reply's part that belongs to it; of a transaction, none.
    pub done: Vec<(i32, Document)>,
}
