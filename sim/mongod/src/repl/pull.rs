//! Pulling the log: choosing a source, fetching, rolling back, reporting what is synced.

use super::core::{Core, Peer, Role};
use super::event::{Output, Write};
use super::history::Record;
use super::message::{Request, Standing};
use super::settings::Id;
use crate::oplog::OpTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a member fetches from.
#[derive(Debug, Default)]
pub(super) struct Pull {
    pub source: Option<Id>,
    call: Option<u64>,
    /// When it last got an entry, or chose this source.
    moved_at: Duration,
}

impl Pull {
    /// Whether `call` was the fetch under way, which it is no more.
    pub fn ended(&mut self, call: u64) -> bool {
        self.call.take_if(|current| *current == call).is_some()
    }

    /// Lets go of the source; an answer still under way is ignored.
    pub fn forget(&mut self) {
        self.source = None;
        self.call = None;
    }
}

/// What the source has been told.
#[derive(Debug, Default)]
pub(super) struct Report {
    call: Option<u64>,
    sent: Option<(Id, BTreeMap<Id, OpTime>)>,
    pub retry_at: Duration,
}

impl Report {
    /// Whether `call` was the report under way, which it is no more.
    pub fn answered(&mut self, call: u64) -> bool {
        self.call.take_if(|current| *current == call).is_some()
    }
}

impl Core {
    /// Keeps one fetch under way, if there is anybody to fetch from.
    pub(super) fn fetch(&mut self) {
        if matches!(self.role, Role::Primary { .. }) || self.pull.call.is_some() {
            return;
        }
        let source = self.pull.source.filter(|id| self.is_source(*id)).or_else(|| self.choose_source());
        if self.pull.source != source {
            self.pull.source = source;
            self.pull.moved_at = self.now.elapsed;
            self.say(Output::Changed);
        }
        let Some(source) = source else { return };
        let request = Request::Fetch {
            after: self.history.last(),
            committed: self.committed,
            patience: self.settings.long_poll,
        };
        self.pull.call = Some(self.call(source, request));
    }

    fn choose_source(&self) -> Option<Id> {
        if self.is_elected() {
            return self.ahead();
        }
        let sources: Vec<Id> = self.peers.keys().copied().filter(|id| self.is_new_source(*id)).collect();
        let leader = self.leader.filter(|leader| sources.contains(leader));
        let chains = self.random(100) < u64::from(self.settings.chaining_percent);
        if chains && !sources.is_empty() {
            return Some(sources[usize::try_from(self.random(sources.len() as u64)).unwrap_or(0)]);
        }
        leader.or_else(|| self.ahead())
    }

    /// Up, and not shunned for the moment.
    pub(super) fn is_usable(&self, peer: &Peer) -> bool {
        peer.up && peer.shunned_until <= self.now.elapsed
    }

    /// A source is ahead, or it is the primary and not behind.
    fn is_new_source(&self, id: Id) -> bool {
        let Some(peer) = self.peers.get(&id).filter(|peer| self.is_usable(peer)) else { return false };
        let Some(facts) = &peer.facts else { return false };
        let last = self.history.last();
        facts.last > last
            || self.leader == Some(id) && facts.last == last && facts.standing == Standing::Primary
    }

    /// One that a member already fetches from may also be level with it, as long as it fetches itself: of someone
    /// else, and not in a circle that the news doesn't reach.
    fn is_source(&self, id: Id) -> bool {
        if self.is_new_source(id) || self.is_elected() {
            return self.is_new_source(id);
        }
        let last = self.history.last();
        let facts =
            self.peers.get(&id).filter(|peer| self.is_usable(peer)).and_then(|peer| peer.facts.as_ref());
        let fetches =
            facts.is_some_and(|f| f.last == last && f.source.is_some_and(|source| source != self.me));
        let leader = self.leader.and_then(|leader| self.peers.get(&leader)?.facts.as_ref());
        let misses_news = leader.is_some_and(|facts| facts.last > last);
        fetches && !(misses_news && self.pull.moved_at + self.settings.heartbeat < self.now.elapsed)
    }

    pub(super) fn shun(&mut self, id: Id) {
        self.pull.source.take_if(|source| *source == id);
        let until = self.now.elapsed + self.settings.heartbeat;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.shunned_until = until;
        }
    }

    pub(super) fn on_entries(&mut self, from: Id, records: Vec<Record>) {
        let last = self.history.last();
        let follows = records.first().is_none_or(|first| first.at.index == last.index + 1);
        if matches!(self.role, Role::Primary { .. }) || !follows {
            return;
        }
        if !records.is_empty() {
            self.take_entries(from, records);
        }
        // What follows on the source's log is on its branch, and with it the source's commit point.
        let committed =
            self.peers.get(&from).and_then(|peer| peer.facts.as_ref()).map(|facts| facts.committed);
        self.set_committed(committed.unwrap_or_default().min(self.history.last()));
    }

    fn take_entries(&mut self, from: Id, records: Vec<Record>) {
        let entries: Result<Vec<_>, _> = records.iter().map(Record::entry).collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(corrupt) => return self.halt(format!("member {from} sent {corrupt}")),
        };
        self.pull.moved_at = self.now.elapsed;
        self.witness.count(|counts| counts.chained_batches += u64::from(self.leader != Some(from)));
        if let Role::CatchUp { fetched, .. } = &mut self.role {
            *fetched = true;
        }
        self.store(records);
        for entry in entries {
            self.say(Output::Apply(entry));
        }
    }

    /// The source doesn't have this member's last entry. If the source's log is the newer one, what is not in both
    /// was never committed and is rolled back.
    pub(super) fn on_diverged(&mut self, from: Id, terms: &[(u64, u64)], last: OpTime) {
        match self.role {
            // MongoDB: "Rollback situation detected in catch-up mode. Aborting catch-up mode."
            Role::CatchUp { .. } => self.finish_catch_up(),
            Role::Primary { .. } => {}
            _ if last <= self.history.last() => self.shun(from),
            _ => self.roll_back(self.history.common(terms, last)),
        }
    }

    fn roll_back(&mut self, to: OpTime) {
        let committed = self.committed;
        if to < committed {
            // MongoDB's RollbackViaRefetch and RollbackToStable both end the process here.
            return self.halt(format!("a rollback to {to:?} would undo what is committed, {committed:?}"));
        }
        let cut = self.history.cut(to.index);
        self.witness.rolled_back(self.me, &cut);
        self.rolled_back.extend(cut);
        self.unsynced.retain(|(_, at)| at.index <= to.index);
        if self.synced.index > to.index {
            self.synced = to;
        }
        self.persist(Write::Truncate { len: to.index });
        if matches!(self.role, Role::Candidate(_)) {
            // It asked for votes with a log that it has no more.
            self.lose_election();
        }
        self.say(Output::RollBack { to });
        self.say(Output::Changed);
    }

    /// Tells the source what is synced here and downstream, one report at a time.
    pub(super) fn report_progress(&mut self) {
        let Some(source) = self.pull.source else { return };
        if self.is_elected() || self.report.call.is_some() || self.now.elapsed < self.report.retry_at {
            return;
        }
        let mut positions = self.downstream.clone();
        positions.insert(self.me, self.reported());
        if self.report.sent.as_ref().is_some_and(|(to, sent)| *to == source && *sent == positions) {
            return;
        }
        self.report.sent = Some((source, positions.clone()));
        self.report.call = Some(self.call(source, Request::Progress(positions)));
    }
}
