//! What a member does with commands: documents, queries, transactions, sessions. Synchronous, deterministic, and
//! without any input or output of its own: time and the log are handed in.
//!
//! It doesn't know where the log comes from, who has it and whether it is durable: that is the business of [`Log`].

mod admin;
mod change;
mod command;
mod concern;
mod failpoint;
mod failure;
mod faulty;
mod fields;
mod filter;
mod order;
mod read;
mod session;
mod store;
mod transaction;
mod view;
mod write;
mod writer;

pub use concern::{Pending, Purpose, Unsettled};
pub use failpoint::Fault;
pub use faulty::Faulty;

use crate::log::Log;
use crate::oplog::{Body, Entry, OpTime};
use bson::{Document, Timestamp};
use failpoint::FailPoint;
use failure::{Failure, Labelled};
use read::Cursors;
use session::Sessions;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use store::Store;

/// What a command comes to.
#[derive(Debug)]
pub enum Turn {
    Done(Box<Answer>),
    /// It is in the way of an open transaction, or the log has not come so far: nothing was done. To be run again
    /// when something has changed.
    Blocked,
}

/// A reply, to be sent when what it waits for has been settled: see [`Answer::finish`].
#[derive(Debug)]
pub struct Answer {
    pub reply: Document,
    pub wait: Option<Pending>,
    labelled: Labelled,
    /// Of a fail point: takes the place of the labels that the error would bear.
    forced_labels: Option<Vec<String>>,
    faulty: Faulty,
}

/// The store of one member, its sessions and cursors.
#[derive(Debug)]
pub struct Engine {
    store: Store,
    sessions: Sessions,
    cursors: Cursors,
    fail_point: FailPoint,
    faulty: Faulty,
    /// `transactionLifetimeLimitSeconds`, in milliseconds.
    lifetime_ms: i64,
    committed: OpTime,
    /// Sessions whose records may have become old, by the index of their entries.
    recorded: VecDeque<(u64, Vec<u8>)>,
    /// The term as a primary in which what is open was begun.
    term: Option<u64>,
    /// The latest time that anyone has told of.
    cluster_time: Timestamp,
}

impl Engine {
    /// `lifetime_secs`: how long a transaction may stay open; MongoDB's default is 60.
    pub fn new(lifetime_secs: u32) -> Self {
        Engine {
            store: Store::default(),
            sessions: Sessions::default(),
            cursors: Cursors::default(),
            fail_point: FailPoint::default(),
            faulty: Faulty::default(),
            lifetime_ms: i64::from(lifetime_secs) * 1000,
            committed: OpTime::default(),
            recorded: VecDeque::new(),
            term: None,
            cluster_time: Timestamp { time: 0, increment: 0 },
        }
    }

    /// Makes mistakes from now on.
    pub fn be(&mut self, faulty: Faulty) {
        self.faulty = faulty;
    }

    /// Takes in an entry that another member wrote, or one that was read from the journal.
    pub fn apply(&mut self, entry: &Entry) {
        self.store.apply(entry);
        self.sessions.apply(entry);
        if let Body::Write { session: Some(record), .. } = &entry.body {
            self.recorded.push_back((entry.at.index, record.session.clone()));
        }
    }

    /// Undoes all entries after this one, with what sessions remember of them.
    pub fn rollback_to(&mut self, at: OpTime) {
        self.store.roll_back(at.index);
        self.sessions.roll_back(at.index);
        self.recorded.retain(|(index, _)| *index <= at.index);
        self.cursors.clear();
    }

    /// A majority has everything up to here: older versions may go.
    pub fn committed(&mut self, at: OpTime) {
        if at <= self.committed {
            return;
        }
        self.committed = at;
        let horizon = self.sessions.oldest_snapshot().map_or(at.index, |oldest| oldest.min(at.index));
        self.store.prune(horizon);
        while self.recorded.front().is_some_and(|(index, _)| *index <= at.index) {
            if let Some((_, session)) = self.recorded.pop_front() {
                self.sessions.prune(&session, at.index);
            }
        }
    }

    /// This member is no primary any more: open transactions and cursors end.
    pub fn step_down(&mut self) {
        self.sessions.forget();
        self.cursors.clear();
        self.term = None;
    }

    /// How many documents open transactions hold against other writers.
    pub fn holds(&self) -> usize {
        self.sessions.claims.len()
    }

    /// The documents of `database.collection` after the last entry, in the order of `_id`.
    pub fn documents(&self, ns: &str) -> Vec<Document> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let collection = self.store.collection(ns).into_iter();
        let documents = collection.flat_map(|collection| collection.between(all.clone(), u64::MAX));
        documents.map(|(_, document)| Document::clone(document)).collect()
    }

    /// All collections with their documents after the last entry, by `database.collection`.
    pub fn everything(&self) -> BTreeMap<String, Vec<Document>> {
        self.store.all(u64::MAX).map(|ns| (ns.clone(), self.documents(ns))).collect()
    }

    /// What a fail point does to a command. Asked once a command, before it is run.
    pub fn fault(&mut self, command: &Document) -> Fault {
        self.fail_point.strike(command)
    }

    /// Runs a command. `command` is the body of an OP_MSG with its document sequences as arrays, `$db` included.
    pub fn run(&mut self, command: &Document, log: &mut dyn Log, now_ms: i64) -> Turn {
        let primary = log.primary();
        if primary != self.term {
            // Whoever is elected anew has none of the old transactions, either.
            self.step_down();
            self.term = primary;
        }
        self.sessions.expire(now_ms.saturating_sub(self.lifetime_ms));
        self.cursors.expire(now_ms);
        command::run(self, command, log, now_ms)
    }

    /// Adds an entry and applies it.
    fn append(&mut self, log: &mut dyn Log, body: Body, now_ms: i64) -> Result<OpTime, Failure> {
        let entry = log.append(body, now_ms)?;
        self.apply(&entry);
        Ok(entry.at)
    }
}

#[cfg(test)]
mod tests;
