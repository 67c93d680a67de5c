//! Heartbeats: who is up, who is primary, in which term.

use super::core::{Core, Peer, Role};
use super::event::Output;
use super::message::{Facts, Request, Standing};
use super::settings::Id;

impl Core {
    /// Sends the heartbeats that are due.
    pub(super) fn beat(&mut self) {
        let now = self.now.elapsed;
        let timeout = self.settings.election_timeout;
        for peer in self.peers.values_mut() {
            if peer.heard + timeout <= now {
                peer.up = false;
            }
        }
        if self.leader.is_some_and(|leader| self.peers.get(&leader).is_some_and(|peer| !peer.up)) {
            self.leader = None;
            self.say(Output::Changed);
        }
        let due = |peer: &Peer| peer.beat.is_none() && peer.next_beat <= now;
        let due: Vec<Id> = self.peers.iter().filter(|(_, peer)| due(peer)).map(|(id, _)| *id).collect();
        for id in due {
            self.beat_to(id);
        }
    }

    pub(super) fn beat_to(&mut self, id: Id) {
        let call = self.call(id, Request::Heartbeat);
        let next_beat = self.now.elapsed + self.settings.heartbeat;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.beat = Some(call);
            peer.next_beat = next_beat;
        }
    }

    pub(super) fn beat_failed(&mut self, id: Id, call: u64) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.beat != Some(call) {
            return;
        }
        peer.beat = None;
        peer.up = false;
        if let Role::CatchUp { awaited, .. } = &mut self.role {
            awaited.remove(&id);
        }
    }

    /// A member has answered a call.
    pub(super) fn heard(&mut self, id: Id, call: u64) {
        let now = self.now.elapsed;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.up {
            peer.first_heard = now;
        }
        peer.up = true;
        peer.heard = now;
        if peer.beat == Some(call) {
            peer.beat = None;
        }
    }

    /// Takes note of what a member says of itself.
    pub(super) fn learn(&mut self, from: Id, facts: &Facts) {
        self.see_term(facts.term);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let is_late = |known: &Facts| known.boot == facts.boot && known.number >= facts.number;
        if peer.facts.as_ref().is_some_and(is_late) {
            return;
        }
        peer.synced = peer.synced.max(facts.synced);
        peer.facts = Some(facts.clone());
        if let Role::CatchUp { awaited, .. } = &mut self.role {
            awaited.remove(&from);
        }
        self.learn_primary(from, facts);
        self.learn_commit_point(facts);
    }

    fn learn_primary(&mut self, from: Id, facts: &Facts) {
        let is_primary = facts.standing == Standing::Primary && facts.term == self.term;
        if is_primary && !self.is_elected() {
            if matches!(self.role, Role::Candidate(_)) {
                self.lose_election();
            }
            self.rearm_election();
            if self.leader.replace(from) != Some(from) {
                self.say(Output::Changed);
            }
        } else if self.leader == Some(from) && !is_primary {
            self.leader = None;
            self.say(Output::Changed);
        }
    }

    /// MongoDB's rule for a commit point that came by heartbeat: only when it is of the term of one's own last entry
    /// are both logs surely on the same branch.
    fn learn_commit_point(&mut self, facts: &Facts) {
        let last = self.history.last();
        if facts.committed.term == last.term {
            self.set_committed(facts.committed.min(last));
        }
    }

    /// A higher term ends this member's own.
    pub(super) fn see_term(&mut self, term: u64) {
        let stubborn = self.settings.faulty.never_steps_down && self.is_elected();
        if term <= self.term || stubborn {
            return;
        }
        self.term = term;
        self.leader = None;
        self.become_secondary();
    }
}
