//! What goes into the state machine and what comes out of it.

use super::history::Record;
use super::message::{Answer, Message, Request};
use super::settings::Id;
use crate::oplog::{Entry, OpTime};
use std::time::Duration;

/// The time of an input.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Since some moment before the member's start; never goes back.
    pub elapsed: Duration,
    /// By the machine's clock, which may be wrong: it dates entries and decides nothing.
    pub wall_ms: i64,
}

#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed, at the latest at [`Core::next_deadline`].
    Tick,
    Request {
        from: Id,
        /// Goes back with the answer. Unique among all requests that this core is handed.
        call: u64,
        message: Message<Request>,
    },
    Answer {
        from: Id,
        call: u64,
        message: Message<Answer>,
    },
    /// No answer will come.
    Failed {
        to: Id,
        call: u64,
    },
    /// This write and all before it are durable.
    Persisted {
        ticket: u64,
    },
}

#[derive(Debug, Clone)]
pub enum Output {
    /// Ask; an [`Input::Answer`] or [`Input::Failed`] has to follow.
    Call {
        to: Id,
        call: u64,
        message: Message<Request>,
    },
    Reply {
        to: Id,
        call: u64,
        message: Message<Answer>,
    },
    /// Write, in this order, then say [`Input::Persisted`] of the last.
    Persist {
        ticket: u64,
        write: Write,
    },
    /// For the engine: an entry that was not appended by itself.
    Apply(Entry),
    /// For the engine: forget what came after.
    RollBack {
        to: OpTime,
    },
    CommitPoint(OpTime),
    /// For the engine: this member is primary no more.
    SteppedDown,
    /// What `Log` answers has changed: role, primary, or what is durable.
    Changed,
    /// The member can't go on, and dies.
    Halt(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Entries for the end of the journal. With them goes the commit point, so that a restarted member knows one.
    Append {
        records: Vec<Record>,
        committed: OpTime,
    },
    /// Keep so many entries.
    Truncate {
        len: u64,
    },
    Vote(Vote),
}

/// The last vote given, never given again in the same term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vote {
    pub term: u64,
    pub candidate: Id,
}

/// What a member finds on its disk when it starts: all of it durable.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    pub records: Vec<Record>,
    pub vote: Option<Vote>,
    pub committed: OpTime,
}
