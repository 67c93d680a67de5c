//! What a test knows of a whole set: handed to all its members, it sees what no member can.

use super::history::Record;
use super::settings::Id;
use crate::oplog::{Entry, OpTime};
use bson::Document;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Cheap to clone; all clones are one. It outlives the members' crashes.
#[derive(Debug, Clone, Default)]
pub struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    primaries: BTreeMap<u64, Id>,
    /// What is committed, for ever, by index.
    committed: BTreeMap<u64, Record>,
    findings: Vec<String>,
    counts: Counts,
    /// How often each member has voted for another.
    votes: BTreeMap<Id, u64>,
    observer: Option<Arc<dyn Observer>>,
}

/// Hears of every command that a driver gives to any member, and of the answer.
pub trait Observer: Send + Sync + std::fmt::Debug {
    fn answered(&self, command: &Document, answer: &Document);
}

/// How often something happened that a run is supposed to live through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub dry_runs: u64,
    /// Elections won.
    pub elections: u64,
    pub step_downs: u64,
    /// Primaries that stepped down with entries of theirs not known to be committed.
    pub step_downs_while_waiting: u64,
    pub rollbacks: u64,
    pub rolled_back_entries: u64,
    /// New primaries that fetched at least one entry before they accepted writes.
    pub catch_ups: u64,
    /// Batches of entries that came from a member other than the primary.
    pub chained_batches: u64,
}

impl Witness {
    /// What was seen that must never be. Empty in a sound set.
    pub fn check(&self) -> Vec<String> {
        self.seen().findings.clone()
    }

    pub fn counts(&self) -> Counts {
        self.seen().counts
    }

    /// The member that was elected in a term.
    pub fn primary_of(&self, term: u64) -> Option<Id> {
        self.seen().primaries.get(&term).copied()
    }

    /// The last entry that any member has known to be committed.
    pub fn committed(&self) -> OpTime {
        self.seen().last_committed()
    }

    /// All that is committed, in its order.
    pub fn log(&self) -> Vec<Entry> {
        let decoded = |record: &Record| record.entry().expect("a member has made it of an entry");
        self.seen().committed.values().map(decoded).collect()
    }

    /// How often a member has given its vote to another, durable or not.
    pub fn votes_of(&self, member: Id) -> u64 {
        self.seen().votes.get(&member).copied().unwrap_or_default()
    }

    pub(crate) fn voted(&self, member: Id) {
        *self.seen().votes.entry(member).or_default() += 1;
    }

    /// Notes a finding of the member itself.
    pub fn find(&self, what: String) {
        self.seen().findings.push(what);
    }

    /// From now on this one hears of commands.
    pub fn set_observer(&self, observer: Arc<dyn Observer>) {
        self.seen().observer = Some(observer);
    }

    pub(crate) fn answered(&self, command: &Document, answer: &Document) {
        let observer = self.seen().observer.clone();
        if let Some(observer) = observer {
            observer.answered(command, answer);
        }
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.seen().counts);
    }

    /// At most one primary per term (Raft §5.2), and it has all that is committed (§5.4: Leader Completeness).
    pub(crate) fn elected(&self, member: Id, term: u64, has: impl FnOnce(OpTime) -> bool) {
        let mut seen = self.seen();
        seen.counts.elections += 1;
        if let Some(other) = seen.primaries.insert(term, member) {
            seen.findings.push(format!("term {term} has had two primaries: {other}, {member}"));
        }
        let committed = seen.last_committed();
        if committed.term < term && !has(committed) {
            seen.findings.push(format!("member {member} was elected in term {term} without {committed:?}"));
        }
    }

    /// A member has learnt that these are committed. What is at an index never changes again, on any member.
    pub(crate) fn learnt(&self, member: Id, records: &[Record]) {
        let mut seen = self.seen();
        for record in records {
            let OpTime { term, index } = record.at;
            let known = seen.committed.entry(index).or_insert_with(|| record.clone());
            if known != record {
                let of = known.at.term;
                seen.findings.push(format!(
                    "member {member} has the entry {index} of term {term} for committed; it was that of term {of}"
                ));
            }
        }
    }

    /// A member threw these away: none of them may have been committed.
    pub(crate) fn rolled_back(&self, member: Id, records: &[Record]) {
        let mut seen = self.seen();
        seen.counts.rollbacks += 1;
        seen.counts.rolled_back_entries += records.len() as u64;
        for record in records {
            let committed = seen.committed.get(&record.at.index);
            if committed.is_some_and(|known| known.at == record.at) {
                seen.findings
                    .push(format!("member {member} rolled back {:?}, which was committed", record.at));
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl Seen {
    fn last_committed(&self) -> OpTime {
        let last = self.committed.last_key_value();
        last.map(|(_, record)| record.at).unwrap_or_default()
    }
}
