//! Replication as a state machine: what comes in is handed to [`Core::handle`], what is to be done comes out of
//! [`Core::take_outputs`]. It knows no socket, no file, no clock and no task; the same inputs give the same outputs.
//!
//! MongoDB's protocol version 1: Raft with a log that is pulled, not pushed (Zhou and Mu, "Fault-Tolerant Replication
//! with Pull-Based Consensus in MongoDB", NSDI 2021).

use super::election::{Ballot, Leaving, Race};
use super::event::{Input, Now, Output, Recovered, Vote, Write};
use super::history::{History, Record};
use super::message::{Answer, Facts, Message, Request, Standing};
use super::pull::{Pull, Report};
use super::serve::Parked;
use super::settings::{Id, Settings};
use super::witness::Witness;
use crate::log::Refusal;
use crate::oplog::{Body, Entry, OpTime};
use crate::wire::MESSAGE_LIMIT;
use gadwall_storage::Entropy;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// An entry is sent whole, in one message with what members say of themselves.
const ENTRY_LIMIT: usize = MESSAGE_LIMIT - (64 << 10);

/// Of this member.
pub struct Identity {
    pub me: Id,
    pub settings: Arc<Settings>,
    pub entropy: Arc<dyn Entropy>,
    pub witness: Witness,
}

#[derive(Debug)]
pub(super) enum Role {
    Secondary,
    /// Running for election.
    Candidate(Race),
    /// Elected, and looking for newer entries among those that may have them.
    CatchUp {
        since: Duration,
        until: Duration,
        awaited: BTreeSet<Id>,
        fetched: bool,
    },
    Primary {
        since: Duration,
    },
}

/// What is known of another member.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub facts: Option<Facts>,
    /// Answers, as far as is known.
    pub up: bool,
    /// When it last answered.
    pub heard: Duration,
    pub first_heard: Duration,
    pub next_beat: Duration,
    /// The heartbeat under way.
    pub beat: Option<u64>,
    /// The highest entry it, or someone for it, has reported as synced.
    pub synced: OpTime,
    /// Not to be fetched from until then.
    pub shunned_until: Duration,
}

pub struct Core {
    pub(super) me: Id,
    pub(super) settings: Arc<Settings>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) witness: Witness,
    pub(super) now: Now,
    pub(super) started: Duration,
    boot: u64,
    facts_sent: u64,
    last_call: u64,
    last_ticket: u64,
    pub(super) term: u64,
    pub(super) vote: Option<Vote>,
    pub(super) history: History,
    pub(super) role: Role,
    pub(super) leader: Option<Id>,
    pub(super) committed: OpTime,
    /// Up to this index the witness has seen what is committed here.
    witnessed: u64,
    pub(super) synced: OpTime,
    /// Appends under way: the ticket, and the last entry that is durable with it.
    pub(super) unsynced: VecDeque<(u64, OpTime)>,
    pub(super) peers: BTreeMap<Id, Peer>,
    /// When to run, if no primary is heard of before.
    pub(super) election_at: Duration,
    pub(super) leaving: Option<Leaving>,
    /// After `replSetStepDown`, no candidate until then.
    pub(super) frozen_until: Duration,
    pub(super) ballots: Vec<Ballot>,
    pub(super) pull: Pull,
    pub(super) report: Report,
    /// Positions that members downstream have reported, to be passed on.
    pub(super) downstream: BTreeMap<Id, OpTime>,
    pub(super) parked: Vec<Parked>,
    pub(super) rolled_back: Vec<Record>,
    halted: bool,
    out: VecDeque<Output>,
}

impl Core {
    /// A member that starts. Its first outputs apply what it has recovered.
    pub fn new(identity: Identity, now: Now, recovered: Recovered) -> Self {
        let Identity { me, settings, entropy, witness } = identity;
        let others = (0..settings.hosts.len()).filter(|id| *id != me);
        let mut core = Core {
            peers: others.map(|id| (id, Peer::default())).collect(),
            boot: u64::from_le_bytes(entropy.bytes()),
            term: recovered.vote.map_or(0, |vote| vote.term),
            vote: recovered.vote,
            started: now.elapsed,
            history: History::default(),
            role: Role::Secondary,
            leader: None,
            committed: OpTime::default(),
            witnessed: 0,
            synced: OpTime::default(),
            unsynced: VecDeque::new(),
            election_at: Duration::ZERO,
            leaving: None,
            frozen_until: Duration::ZERO,
            ballots: Vec::new(),
            pull: Pull::default(),
            report: Report::default(),
            downstream: BTreeMap::new(),
            parked: Vec::new(),
            rolled_back: Vec::new(),
            halted: false,
            out: VecDeque::new(),
            facts_sent: 0,
            last_call: 0,
            last_ticket: 0,
            me,
            settings,
            entropy,
            witness,
            now,
        };
        core.recover(recovered.records, recovered.committed);
        core
    }

    fn recover(&mut self, records: Vec<Record>, committed: OpTime) {
        for record in records {
            self.adopt(record);
        }
        self.synced = self.history.last();
        // A term is kept in a vote or in an entry of it: nothing else was promised in it.
        self.term = self.term.max(self.synced.term);
        if self.history.contains(committed) {
            self.set_committed(committed);
        }
        self.rearm_election();
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        self.set_now(now);
        if self.halted {
            return;
        }
        match input {
            Input::Tick => self.tick(),
            Input::Request { from, call, message } => self.on_request(from, call, message),
            Input::Answer { from, call, message } => self.on_answer(from, call, message),
            Input::Failed { to, call } => self.on_failed(to, call),
            Input::Persisted { ticket } => self.on_persisted(ticket),
        }
        self.follow_up();
    }

    /// What is to be done, in this order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        self.out.drain(..).collect()
    }

    /// Adds an entry of this primary's term, unless it is primary no more or the entry too large.
    pub fn append(&mut self, now: Now, body: Body, wall_ms: i64) -> Result<Entry, Refusal> {
        self.set_now(now);
        if self.halted || self.primary().is_none() {
            return Err(Refusal::not_primary());
        }
        let entry = self.next(body, wall_ms);
        let record = Record::encode(&entry);
        if record.raw.len() > ENTRY_LIMIT {
            let text = format!("an entry of {} bytes can't be sent to other members", record.raw.len());
            return Err(Refusal::new(257, "TransactionTooLarge", text));
        }
        self.store(vec![record]);
        self.follow_up();
        Ok(entry)
    }

    /// The term of a primary that accepts writes.
    pub fn primary(&self) -> Option<u64> {
        // While it tries to step down, all writes fail: else nobody might ever catch up.
        let is_leaving = self.leaving.is_some_and(|leaving| self.now.elapsed < leaving.until);
        (matches!(self.role, Role::Primary { .. }) && !is_leaving).then_some(self.term)
    }

    /// The latest moment at which it wants an [`Input::Tick`].
    pub fn next_deadline(&self) -> Duration {
        let beats = self.peers.values().filter(|peer| peer.beat.is_none()).map(|peer| peer.next_beat);
        let polls = self.parked.iter().map(|parked| parked.until);
        let role = match &self.role {
            Role::Secondary => self.election_at,
            Role::Candidate(race) => race.until,
            Role::CatchUp { until, .. } => *until,
            Role::Primary { .. } => self.now.elapsed + self.settings.heartbeat,
        };
        beats.chain(polls).chain([role]).min().unwrap_or(role)
    }

    /// Entries that this life of the member rolled back, for inspection; MongoDB writes them to files, too.
    pub fn rolled_back(&self) -> &[Record] {
        &self.rolled_back
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn committed(&self) -> OpTime {
        self.committed
    }

    /// The last term it has heard of.
    pub fn term(&self) -> u64 {
        self.term
    }

    pub(super) fn set_now(&mut self, now: Now) {
        self.now = Now { elapsed: now.elapsed.max(self.now.elapsed), wall_ms: now.wall_ms };
    }

    fn tick(&mut self) {
        self.beat();
        let now = self.now.elapsed;
        match &self.role {
            Role::Secondary if now >= self.election_at => self.run_for_election(),
            Role::Candidate(race) if now >= race.until => self.lose_election(),
            Role::CatchUp { .. } | Role::Primary { .. } => self.look_for_majority(),
            _ => {}
        }
    }

    /// What may have become possible by any input.
    fn follow_up(&mut self) {
        self.catch_up();
        self.advance_commit_point();
        self.fetch();
        self.report_progress();
        self.answer_parked();
    }

    fn on_request(&mut self, from: Id, call: u64, message: Message<Request>) {
        self.learn(from, &message.facts);
        match message.body {
            Request::Heartbeat => self.reply(from, call, Answer::Done),
            Request::Vote { dry_run, term, last } => {
                self.on_vote_request(Ballot { from, call, term, last, ticket: 0 }, dry_run);
            }
            Request::Fetch { after, committed, patience } => {
                let until = self.now.elapsed + patience;
                self.parked.push(Parked { from, call, after, committed, until });
            }
            Request::Progress(positions) => {
                self.on_progress(&positions);
                self.reply(from, call, Answer::Done);
            }
            Request::StepUp => {
                self.reply(from, call, Answer::Done);
                self.step_up();
            }
        }
    }

    fn on_answer(&mut self, from: Id, call: u64, message: Message<Answer>) {
        self.heard(from, call);
        self.learn(from, &message.facts);
        match message.body {
            Answer::Done => _ = self.report.answered(call),
            Answer::Vote { granted } => self.on_vote(from, call, granted),
            Answer::Entries(records) if self.pull.ended(call) => self.on_entries(from, records),
            Answer::Diverged(terms) if self.pull.ended(call) => {
                self.on_diverged(from, &terms, message.facts.last)
            }
            Answer::Entries(_) | Answer::Diverged(_) => {}
        }
    }

    fn on_failed(&mut self, to: Id, call: u64) {
        self.beat_failed(to, call);
        self.on_vote(to, call, false);
        if self.pull.ended(call) {
            self.shun(to);
        }
        if self.report.answered(call) {
            self.report.retry_at = self.now.elapsed + self.settings.heartbeat;
        }
    }

    fn on_persisted(&mut self, ticket: u64) {
        while let Some((_, at)) = self.unsynced.pop_front_if(|(pending, _)| *pending <= ticket) {
            self.synced = at;
        }
        self.out.push_back(Output::Changed);
        self.votes_are_durable(ticket);
    }

    /// Writes an entry of this primary's term.
    pub(super) fn write(&mut self, body: Body, wall_ms: i64) -> Entry {
        let entry = self.next(body, wall_ms);
        self.store(vec![Record::encode(&entry)]);
        entry
    }

    fn next(&self, body: Body, wall_ms: i64) -> Entry {
        let at = OpTime { term: self.term, index: self.history.last().index + 1 };
        Entry { at, wall_ms, body }
    }

    /// Adds entries to the log and sends them to the disk.
    pub(super) fn store(&mut self, records: Vec<Record>) {
        let Some(last) = records.last().map(|record| record.at) else { return };
        for record in &records {
            if !self.history.push(record.clone()) {
                let (at, after) = (record.at, self.history.last());
                return self.halt(format!("{at:?} can't follow {after:?}"));
            }
        }
        let ticket = self.persist(Write::Append { records, committed: self.committed });
        self.unsynced.push_back((ticket, last));
    }

    /// Adds a recovered entry to the log, and applies it.
    fn adopt(&mut self, record: Record) {
        let (at, entry) = (record.at, record.entry());
        match entry {
            Ok(entry) if self.history.push(record) => self.out.push_back(Output::Apply(entry)),
            _ => self.halt(format!("the journal holds {at:?} after {:?}", self.history.last())),
        }
    }

    pub(super) fn persist(&mut self, write: Write) -> u64 {
        self.last_ticket += 1;
        self.out.push_back(Output::Persist { ticket: self.last_ticket, write });
        self.last_ticket
    }

    /// Moves the commit point on. Never back.
    pub(super) fn set_committed(&mut self, to: OpTime) {
        if to <= self.committed || !self.history.contains(to) {
            return;
        }
        self.committed = to;
        self.witness.learnt(self.me, self.history.between(self.witnessed, to.index));
        self.witnessed = to.index;
        self.out.push_back(Output::CommitPoint(to));
    }

    pub(super) fn call(&mut self, to: Id, request: Request) -> u64 {
        self.last_call += 1;
        let message = Message { facts: self.facts(), body: request };
        self.out.push_back(Output::Call { to, call: self.last_call, message });
        self.last_call
    }

    pub(super) fn reply(&mut self, to: Id, call: u64, answer: Answer) {
        let message = Message { facts: self.facts(), body: answer };
        self.out.push_back(Output::Reply { to, call, message });
    }

    pub(super) fn say(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(super) fn halt(&mut self, why: String) {
        self.witness.find(format!("member {}: {why}", self.me));
        self.halted = true;
        self.out.push_back(Output::Halt(why));
    }

    fn facts(&mut self) -> Facts {
        self.facts_sent += 1;
        let last = self.history.last();
        Facts {
            term: self.term,
            boot: self.boot,
            number: self.facts_sent,
            standing: self.standing(),
            last,
            last_wall_ms: self.history.wall_ms(last),
            synced: self.reported(),
            committed: self.committed,
            source: self.pull.source,
        }
    }

    /// What this member tells others it has synced.
    pub(super) fn reported(&self) -> OpTime {
        let lies = self.settings.faulty.secondaries_acknowledge_before_sync && !self.is_elected();
        if lies { self.history.last() } else { self.synced }
    }

    pub(super) fn standing(&self) -> Standing {
        if self.is_elected() { Standing::Primary } else { Standing::Secondary }
    }

    pub(super) fn is_elected(&self) -> bool {
        matches!(self.role, Role::Primary { .. } | Role::CatchUp { .. })
    }

    /// Below `limit`.
    pub(super) fn random(&self, limit: u64) -> u64 {
        u64::from_le_bytes(self.entropy.bytes()) % limit.max(1)
    }
}
