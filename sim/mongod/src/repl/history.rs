//! The log of a member as replication needs it: positions and encoded entries, not what is in them.

use super::record::{self, Corrupt};
use crate::oplog::{Entry, OpTime};
use std::sync::Arc;

/// An entry as it is written and sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub at: OpTime,
    pub wall_ms: i64,
    pub raw: Arc<[u8]>,
}

impl Record {
    pub fn encode(entry: &Entry) -> Self {
        Record { at: entry.at, wall_ms: entry.wall_ms, raw: record::encode(entry).into() }
    }

    pub fn decode(raw: &[u8]) -> Result<Self, Corrupt> {
        let entry = record::decode(raw)?;
        Ok(Record { at: entry.at, wall_ms: entry.wall_ms, raw: raw.into() })
    }

    pub fn entry(&self) -> Result<Entry, Corrupt> {
        record::decode(&self.raw)
    }
}

/// All entries since the set began. Index 1 is the first; `OpTime::default()` stands before it.
#[derive(Debug, Clone, Default)]
pub struct History {
    records: Vec<Record>,
    /// Each term in the log, with the index of its first entry.
    terms: Vec<(u64, u64)>,
}

impl History {
    pub fn last(&self) -> OpTime {
        self.records.last().map(|record| record.at).unwrap_or_default()
    }

    /// When the entry at `at` was written, by its primary's clock.
    pub fn wall_ms(&self, at: OpTime) -> i64 {
        self.get(at.index).map_or(0, |record| record.wall_ms)
    }

    pub fn get(&self, index: u64) -> Option<&Record> {
        self.records.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }

    /// Whether exactly this entry is here: index and term.
    pub fn contains(&self, at: OpTime) -> bool {
        at == OpTime::default() || self.get(at.index).is_some_and(|record| record.at == at)
    }

    /// The entries after index `after`, up to and including index `to`.
    pub fn between(&self, after: u64, to: u64) -> &[Record] {
        let to = usize::try_from(to).unwrap_or(usize::MAX).min(self.records.len());
        let after = usize::try_from(after).unwrap_or(usize::MAX).min(to);
        &self.records[after..to]
    }

    /// At least one entry after index `after`, if there is one, and after that no more bytes than `bytes`.
    pub fn batch(&self, after: u64, bytes: usize) -> Vec<Record> {
        let mut size = 0;
        let fits = |record: &&Record| {
            let first = size == 0;
            size += record.raw.len();
            first || size <= bytes
        };
        self.between(after, u64::MAX).iter().take_while(fits).cloned().collect()
    }

    /// Adds the entry that follows the last. False, and nothing done, when it doesn't follow.
    #[must_use]
    pub fn push(&mut self, record: Record) -> bool {
        let last = self.last();
        if record.at.index != last.index + 1 || record.at.term < last.term || record.at.term == 0 {
            return false;
        }
        if record.at.term > last.term {
            self.terms.push((record.at.term, record.at.index));
        }
        self.records.push(record);
        true
    }

    /// Cuts off what comes after index `to`.
    pub fn cut(&mut self, to: u64) -> Vec<Record> {
        let keep = usize::try_from(to).unwrap_or(usize::MAX).min(self.records.len());
        self.terms.retain(|(_, first)| *first <= to);
        self.records.split_off(keep)
    }

    pub fn terms(&self) -> &[(u64, u64)] {
        &self.terms
    }

    /// The last entry that is also in another log, known by its terms and its last entry. Two logs that have one
    /// entry in common have all entries before it in common (Raft §5.3, the Log Matching property).
    pub fn common(&self, terms: &[(u64, u64)], last: OpTime) -> OpTime {
        let theirs = |index: u64| {
            let after = terms.partition_point(|(_, first)| *first <= index);
            after.checked_sub(1).map(|at| terms[at].0)
        };
        let from = self.last().index.min(last.index);
        let is_common = |record: &&Record| theirs(record.at.index) == Some(record.at.term);
        self.between(0, from).iter().rev().find(is_common).map(|record| record.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog::Body;

    fn history(terms: &[u64]) -> History {
        let mut history = History::default();
        for (before, term) in terms.iter().enumerate() {
            let at = OpTime { term: *term, index: before as u64 + 1 };
            assert!(history.push(Record::encode(&Entry { at, wall_ms: 7, body: Body::Noop })));
        }
        history
    }

    #[test]
    fn only_the_entry_that_follows_is_added() {
        let mut log = history(&[1, 1, 3]);
        for (term, index) in [(3, 3), (3, 5), (2, 4), (0, 4)] {
            let stranger = Entry { at: OpTime { term, index }, wall_ms: 7, body: Body::Noop };
            assert!(!log.push(Record::encode(&stranger)), "{term} {index}");
        }
        assert_eq!(log.last(), OpTime { term: 3, index: 3 });
    }

    #[test]
    fn the_common_point_is_the_last_entry_of_both() {
        let common = |mine: &[u64], theirs: &[u64]| {
            let theirs = history(theirs);
            history(mine).common(theirs.terms(), theirs.last()).index
        };
        assert_eq!(common(&[1, 1, 1, 1], &[1, 1, 2]), 2);
        assert_eq!(common(&[1, 1, 2, 2], &[1, 1, 1, 1, 3]), 2);
        assert_eq!(common(&[1, 1], &[1, 1, 1]), 2);
        assert_eq!(common(&[1, 1], &[2, 2]), 0);
        assert_eq!(common(&[], &[2]), 0);
    }

    #[test]
    fn a_cut_forgets_terms_that_are_gone() {
        let mut log = history(&[1, 2, 2, 4]);
        assert_eq!(log.cut(2).len(), 2);
        assert_eq!(log.terms(), [(1, 1), (2, 2)]);
        assert!(log.contains(OpTime { term: 2, index: 2 }));
        assert!(!log.contains(OpTime { term: 2, index: 3 }));
    }
}
