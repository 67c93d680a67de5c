//! What members say to each other. Their form on the wire is in `documents`.

use super::history::Record;
use super::settings::Id;
use crate::oplog::OpTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// A request or an answer. Each carries its sender's term and state, so that any of them can end an old term.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<T> {
    pub facts: Facts,
    pub body: T,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub term: u64,
    /// Drawn anew at each start; together with `number` it tells late news from new.
    pub boot: u64,
    pub number: u64,
    pub standing: Standing,
    pub last: OpTime,
    pub last_wall_ms: i64,
    /// What it has synced.
    pub synced: OpTime,
    pub committed: OpTime,
    /// Where it fetches from.
    pub source: Option<Id>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Secondary,
    /// Elected; not yet writable while it catches up.
    Primary,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Heartbeat,
    /// `replSetRequestVotes`. A dry run binds nobody: it keeps a member that can't win from ending a term.
    Vote {
        dry_run: bool,
        term: u64,
        last: OpTime,
    },
    /// Asks for the entries after one's last.
    Fetch {
        after: OpTime,
        committed: OpTime,
        patience: Duration,
    },
    /// `replSetUpdatePosition`: what the sender and those that fetch from it have synced.
    Progress(BTreeMap<Id, OpTime>),
    /// Sent by a primary that steps down: run for election now.
    StepUp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done,
    Vote {
        granted: bool,
    },
    /// The entries that follow; none when there is no news, or when the source itself is behind.
    Entries(Vec<Record>),
    /// The source doesn't have that entry: each term of its log with the index it starts at.
    Diverged(Vec<(u64, u64)>),
}
