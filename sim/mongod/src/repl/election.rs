//! Elections: dry run, votes, catching up, stepping down.

use super::core::{Core, Peer, Role};
use super::event::{Now, Output, Vote, Write};
use super::message::{Answer, Request};
use super::settings::Id;
use crate::log::{Refusal, StepDown};
use crate::oplog::{Body, OpTime};
use std::collections::BTreeSet;
use std::time::Duration;

/// A candidate's election.
#[derive(Debug)]
pub(super) struct Race {
    dry_run: bool,
    /// The term it wants to be primary of.
    term: u64,
    calls: BTreeSet<u64>,
    granted: usize,
    /// The ticket of its vote for itself, until that is durable.
    ticket: Option<u64>,
    pub until: Duration,
}

/// A request for this member's vote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ballot {
    pub from: Id,
    pub call: u64,
    pub term: u64,
    pub last: OpTime,
    /// Answered when this is durable.
    pub ticket: u64,
}

/// An attempt to step down that waits for others to catch up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    since: Duration,
    pub until: Duration,
}

impl Core {
    pub(super) fn rearm_election(&mut self) {
        let timeout = self.settings.election_timeout;
        let spread = timeout * self.settings.jitter_percent / 100;
        let jitter =
            Duration::from_millis(self.random(u64::try_from(spread.as_millis()).unwrap_or(u64::MAX)));
        self.election_at = self.now.elapsed + timeout + jitter;
    }

    pub(super) fn run_for_election(&mut self) {
        self.rearm_election();
        if self.now.elapsed >= self.frozen_until {
            self.witness.count(|counts| counts.dry_runs += 1);
            self.start_race(true);
        }
    }

    /// A primary that steps down asks for it: no time-out and no dry run (MongoDB calls it election handoff).
    pub(super) fn step_up(&mut self) {
        if matches!(self.role, Role::Secondary) && self.now.elapsed >= self.frozen_until {
            self.rearm_election();
            self.start_race(false);
        }
    }

    /// As an operator asks for it.
    pub fn stand(&mut self, now: Now) {
        self.set_now(now);
        self.step_up();
        self.say(Output::Changed);
    }

    fn start_race(&mut self, dry_run: bool) {
        let term = self.term + 1;
        let until = self.now.elapsed + self.settings.election_timeout;
        let mut race = Race { dry_run, term, calls: BTreeSet::new(), granted: 0, ticket: None, until };
        if dry_run {
            race.granted = 1;
            race.calls = self.ask_for_votes(true, term);
        } else {
            // Its own vote counts like any other: it has to be durable first.
            self.term = term;
            self.leader = None;
            let vote = Vote { term, candidate: self.me };
            self.vote = Some(vote);
            race.ticket = Some(self.persist(Write::Vote(vote)));
        }
        self.role = Role::Candidate(race);
        self.count_votes();
    }

    fn ask_for_votes(&mut self, dry_run: bool, term: u64) -> BTreeSet<u64> {
        let last = self.history.last();
        let peers: Vec<Id> = self.peers.keys().copied().collect();
        peers.into_iter().map(|id| self.call(id, Request::Vote { dry_run, term, last })).collect()
    }

    pub(super) fn on_vote_request(&mut self, mut ballot: Ballot, dry_run: bool) {
        // A real election's term came with the message, and has ended this member's own if that was older.
        let is_in_time = if dry_run { ballot.term > self.term } else { ballot.term == self.term };
        let given = self.vote.filter(|vote| vote.term >= ballot.term);
        let is_free = given.is_none_or(|vote| vote.term == ballot.term && vote.candidate == ballot.from);
        let granted = is_in_time && (dry_run || is_free) && ballot.last >= self.history.last();
        if dry_run || !granted {
            return self.reply(ballot.from, ballot.call, Answer::Vote { granted });
        }
        let vote = Vote { term: ballot.term, candidate: ballot.from };
        self.vote = Some(vote);
        self.witness.voted(self.me);
        self.rearm_election();
        ballot.ticket = self.persist(Write::Vote(vote));
        if self.settings.faulty.vote_not_synced {
            return self.reply(ballot.from, ballot.call, Answer::Vote { granted });
        }
        self.ballots.push(ballot);
    }

    /// Answers the ballots whose votes are durable now, and goes on with its own.
    pub(super) fn votes_are_durable(&mut self, ticket: u64) {
        let ready: Vec<Ballot> = self.ballots.extract_if(.., |ballot| ballot.ticket <= ticket).collect();
        for ballot in ready {
            self.reply(ballot.from, ballot.call, Answer::Vote { granted: true });
        }
        let Role::Candidate(race) = &mut self.role else { return };
        if race.ticket.take_if(|own| *own <= ticket).is_none() {
            return;
        }
        let term = race.term;
        let calls = self.ask_for_votes(false, term);
        if let Role::Candidate(race) = &mut self.role {
            race.granted = 1;
            race.calls = calls;
        }
        self.count_votes();
    }

    pub(super) fn on_vote(&mut self, _from: Id, call: u64, granted: bool) {
        let Role::Candidate(race) = &mut self.role else { return };
        if race.calls.remove(&call) {
            race.granted += usize::from(granted);
            self.count_votes();
        }
    }

    fn count_votes(&mut self) {
        let Role::Candidate(race) = &self.role else { return };
        let needed = self.settings.majority();
        let (dry_run, open) = (race.dry_run, race.calls.len());
        if race.granted >= needed && dry_run {
            self.start_race(false);
        } else if race.granted >= needed {
            self.win();
        } else if race.ticket.is_none() && race.granted + open < needed {
            self.lose_election();
        }
    }

    pub(super) fn lose_election(&mut self) {
        self.role = Role::Secondary;
        self.rearm_election();
    }

    fn win(&mut self) {
        let now = self.now.elapsed;
        self.witness.elected(self.me, self.term, |at| self.history.contains(at));
        let up = self.peers.iter().filter(|(_, peer)| peer.up).map(|(id, _)| *id);
        let awaited: BTreeSet<Id> = up.collect();
        self.role =
            Role::CatchUp { since: now, until: now + self.settings.catch_up, awaited, fetched: false };
        self.leader = Some(self.me);
        self.pull.forget();
        self.say(Output::Changed);
        let peers: Vec<Id> = self.peers.keys().copied().collect();
        for id in peers {
            self.beat_to(id);
        }
    }

    /// A new primary takes what others have beyond its own log: those entries may have been acknowledged with `w: 1`.
    /// It waits for word from all members that are up, and no longer than the catch-up time-out.
    pub(super) fn catch_up(&mut self) {
        let Role::CatchUp { until, awaited, .. } = &self.role else { return };
        let is_late = self.now.elapsed >= *until;
        if is_late || awaited.is_empty() && self.ahead().is_none() {
            self.finish_catch_up();
        }
    }

    /// The member that is up and has the newest log, if that is newer than one's own.
    pub(super) fn ahead(&self) -> Option<Id> {
        let last = self.history.last();
        let newer = |(id, peer): (&Id, &Peer)| {
            let theirs = peer.facts.as_ref().map(|facts| facts.last)?;
            (self.is_usable(peer) && theirs > last).then_some((theirs, *id))
        };
        self.peers.iter().filter_map(newer).max().map(|(_, id)| id)
    }

    pub(super) fn finish_catch_up(&mut self) {
        let Role::CatchUp { since, fetched, .. } = self.role else { return };
        self.witness.count(|counts| counts.catch_ups += u64::from(fetched));
        self.role = Role::Primary { since };
        self.pull.forget();
        // The entry that lets older ones be committed with it (Raft §5.4.2, §8).
        let entry = self.write(Body::Noop, self.now.wall_ms);
        self.say(Output::Apply(entry));
        self.say(Output::Changed);
    }

    /// A primary without a majority steps down: another may have been elected by now.
    pub(super) fn look_for_majority(&mut self) {
        let (Role::CatchUp { since, .. } | Role::Primary { since }) = self.role else { return };
        let (now, timeout) = (self.now.elapsed, self.settings.election_timeout);
        let alive = self.peers.values().filter(|peer| peer.heard.max(since) + timeout > now).count();
        if alive + 1 < self.settings.majority() && !self.settings.faulty.never_steps_down {
            self.become_secondary();
        }
    }

    pub(super) fn become_secondary(&mut self) {
        let was_elected = self.is_elected();
        let was_primary = matches!(self.role, Role::Primary { .. });
        let waits = was_primary && self.history.last() > self.committed;
        self.role = Role::Secondary;
        self.leaving = None;
        self.rearm_election();
        if was_elected {
            self.leader = None;
            self.witness.count(|counts| {
                counts.step_downs += 1;
                counts.step_downs_while_waiting += u64::from(waits);
            });
            self.pull.forget();
            self.say(Output::SteppedDown);
        }
        self.say(Output::Changed);
    }

    /// `replSetStepDown`: waits until a majority has all entries, and so one that can be elected; writes fail meanwhile.
    /// Then it stays out of elections for a while, and tells one of them to run.
    pub fn step_down(&mut self, now: Now, how: StepDown) -> Option<Result<(), Refusal>> {
        self.set_now(now);
        if !matches!(self.role, Role::Primary { .. }) {
            return Some(Err(Refusal::not_primary()));
        }
        let (now, until) = (self.now.elapsed, self.now.elapsed + how.patience);
        let Leaving { since, until } = *self.leaving.get_or_insert(Leaving { since: now, until });
        let caught_up = self.caught_up();
        let is_safe = caught_up.len() + 1 >= self.settings.majority();
        self.say(Output::Changed);
        if !is_safe && now < until {
            return None;
        }
        if !is_safe && !how.force {
            self.leaving = None;
            return Some(Err(Refusal::new(262, "ExceededTimeLimit", "No electable secondaries caught up")));
        }
        self.frozen_until = since + how.freeze;
        self.become_secondary();
        if let Some(heir) = caught_up.first() {
            self.call(*heir, Request::StepUp);
        }
        Some(Ok(()))
    }

    pub fn give_up_step_down(&mut self) {
        self.leaving = None;
        self.say(Output::Changed);
    }

    /// The other members that have all entries.
    fn caught_up(&self) -> Vec<Id> {
        let last = self.history.last();
        let has_all =
            |peer: &Peer| peer.up && peer.facts.as_ref().is_some_and(|f| f.last.max(peer.synced) >= last);
        self.peers.iter().filter(|(_, peer)| has_all(peer)).map(|(id, _)| *id).collect()
    }
}
