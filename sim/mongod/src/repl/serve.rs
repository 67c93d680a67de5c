//! The other side of pulling: answering fetches, counting what members have synced, settling writes that wait.

use super::core::{Core, Role};
use super::message::Answer;
use super::settings::Id;
use crate::log::{Refusal, Wait};
use crate::oplog::OpTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// A fetch that waits for news.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parked {
    pub from: Id,
    pub call: u64,
    pub after: OpTime,
    /// The commit point that the fetching member knows.
    pub committed: OpTime,
    pub until: Duration,
}

impl Core {
    pub(super) fn answer_parked(&mut self) {
        for parked in std::mem::take(&mut self.parked) {
            match self.answer_to(&parked) {
                Some(answer) => self.reply(parked.from, parked.call, answer),
                None => self.parked.push(parked),
            }
        }
    }

    fn answer_to(&self, parked: &Parked) -> Option<Answer> {
        if !self.history.contains(parked.after) {
            let is_ahead = self.history.last() > parked.after;
            return Some(if is_ahead {
                Answer::Diverged(self.history.terms().to_vec())
            } else {
                Answer::Entries(vec![])
            });
        }
        let records = self.history.batch(parked.after.index, self.settings.batch_bytes);
        let is_dry = !self.is_elected() && self.pull.source.is_none_or(|source| source == parked.from);
        let has_news = self.committed.min(parked.after) > parked.committed;
        let is_over = parked.until <= self.now.elapsed;
        (!records.is_empty() || is_dry || has_news || is_over).then_some(Answer::Entries(records))
    }

    pub(super) fn on_progress(&mut self, positions: &BTreeMap<Id, OpTime>) {
        for (id, at) in positions {
            let Some(peer) = self.peers.get_mut(id) else { continue };
            peer.synced = peer.synced.max(*at);
            let known = self.downstream.entry(*id).or_default();
            *known = (*known).max(*at);
        }
    }

    /// The highest entry of its own term that a majority has synced: all before it is committed with it. Entries of
    /// older terms don't count for themselves: a later primary could still undo them (Raft §5.4.2).
    pub(super) fn advance_commit_point(&mut self) {
        if !matches!(self.role, Role::Primary { .. }) {
            return;
        }
        let mut positions: Vec<OpTime> = self.peers.values().map(|peer| peer.synced).collect();
        positions.push(self.synced);
        positions.sort_unstable();
        let at = positions[self.settings.hosts.len() - self.settings.majority()];
        if at.term == self.term || self.settings.faulty.commit_without_term_rule {
            self.set_committed(at);
        }
    }

    /// What became of a write that waits.
    pub fn settled(&self, wait: &Wait) -> Option<Result<(), Refusal>> {
        // Another entry may have its index by now: the whole position counts.
        if !self.history.contains(wait.at) {
            return Some(Err(Refusal::stepped_down()));
        }
        let index = wait.at.index;
        let is_done = match (wait.majority, wait.journal) {
            (true, _) => self.committed.index >= index || self.settings.faulty.acknowledge_w1,
            (false, true) => self.synced.index >= index,
            (false, false) => true,
        };
        if is_done {
            return Some(Ok(()));
        }
        let is_over = wait.majority && !matches!(self.role, Role::Primary { .. });
        is_over.then(|| Err(Refusal::stepped_down()))
    }
}
