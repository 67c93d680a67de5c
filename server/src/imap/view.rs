//! What a session believes about its selected mailbox: a pure value that maps message numbers to UIDs and turns the
//! store's changes into the untagged responses that are allowed at this moment. Knows no store and no stream.

use super::encode::Recent;
use super::types::{By, SequenceSet};
use gadwall_storage::{Delta, Flags, ModSeq, Uid, UidSet};
use std::collections::BTreeMap;

/// The selected mailbox as the client knows it.
#[derive(Debug, Clone)]
pub struct View {
    /// Ascending; the message with number n is at n - 1.
    uids: Vec<Uid>,
    /// Every change up to here has been taken in.
    modseq: u64,
    /// Messages that are `\Recent` to this session; also some that it has not been told of yet.
    recent: UidSet,
    /// Expunged, but the client has not been told yet.
    gone: UidSet,
    /// What `$` stands for (RFC 5182 §2.1), with what has gone since.
    saved: UidSet,
    /// What the client knows of its own changes already: not repeated.
    told: BTreeMap<Uid, ModSeq>,
}

/// Whether EXPUNGE may be sent: not while FETCH, STORE or SEARCH by number is answered (RFC 3501 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunges {
    Allowed,
    Held,
}

/// Something the client is to be told, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    Expunge(u32),
    Exists(u32),
    Recent(u32),
    Flags { number: u32, uid: Uid, flags: Flags, recent: Recent, modseq: ModSeq },
}

/// A message number beyond the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchNumber;

impl View {
    pub fn new(uids: &UidSet, modseq: ModSeq, recent: UidSet) -> Self {
        Self {
            uids: uids.iter().collect(),
            modseq: modseq.get(),
            recent,
            gone: UidSet::new(),
            saved: UidSet::new(),
            told: BTreeMap::new(),
        }
    }

    pub fn exists(&self) -> u32 {
        self.uids.len() as u32
    }

    pub fn modseq(&self) -> u64 {
        self.modseq
    }

    pub fn last_uid(&self) -> Option<Uid> {
        self.uids.last().copied()
    }

    /// All UIDs the client knows of.
    pub fn uids(&self) -> UidSet {
        self.uids.iter().copied().collect()
    }

    pub fn number(&self, uid: Uid) -> Option<u32> {
        self.uids.binary_search(&uid).ok().map(|i| i as u32 + 1)
    }

    pub fn recent(&self, uid: Uid) -> Recent {
        if self.recent.contains(uid) { Recent::Yes } else { Recent::No }
    }

    /// The UIDs a command names. Unknown UIDs are left out; an unknown number is an error.
    pub fn resolve(&self, set: &SequenceSet, by: By) -> Result<UidSet, NoSuchNumber> {
        if set.is_saved() {
            return Ok(self.saved());
        }
        let mut found = UidSet::new();
        match by {
            By::Sequence => {
                let exists = self.exists();
                for (first, last) in set.resolve(exists) {
                    if first > last || last > exists {
                        return Err(NoSuchNumber);
                    }
                    found.extend(self.uids[first as usize - 1..last as usize].iter().copied());
                }
            }
            By::Uid => {
                for (first, last) in set.resolve(self.last_uid().map_or(0, Uid::get)) {
                    let from = self.uids.partition_point(|uid| uid.get() < first);
                    let to = self.uids.partition_point(|uid| uid.get() <= last);
                    found.extend(self.uids.get(from..to).unwrap_or_default().iter().copied());
                }
            }
        }
        Ok(found)
    }

    /// As [`View::resolve`] by number, with unknown numbers left out.
    pub fn known(&self, set: &SequenceSet) -> UidSet {
        if set.is_saved() {
            return self.saved();
        }
        let exists = self.exists();
        let known = set.resolve(exists).into_iter().filter(|(first, _)| *first <= exists);
        known
            .flat_map(|(first, last)| &self.uids[first as usize - 1..last.min(exists) as usize])
            .copied()
            .collect()
    }

    /// RFC 5182 §2.1: a message that is expunged is no longer in it.
    fn saved(&self) -> UidSet {
        self.saved.intersection(&self.uids())
    }

    /// What `$` is from now on.
    pub fn save(&mut self, found: UidSet) {
        self.saved = found;
    }

    /// Of `uids`, those known to be expunged.
    pub fn gone(&self, uids: &UidSet) -> UidSet {
        self.gone.intersection(uids)
    }

    /// The client knows that this message has this modseq, or has asked not to be told.
    pub fn told(&mut self, uid: Uid, modseq: ModSeq) {
        self.told.insert(uid, modseq);
    }

    /// Takes in changes; `claimed` are messages that are now `\Recent` to this session.
    pub fn apply(&mut self, delta: &Delta, claimed: &UidSet, expunges: Expunges) -> Vec<Update> {
        if !delta.vanished.is_empty() {
            self.gone = self.gone.union(&delta.vanished.intersection(&self.uids()));
        }
        let first_new = self.last_uid();
        let (new, changed): (Vec<_>, Vec<_>) =
            delta.changed.iter().partition(|m| first_new.is_none_or(|last| m.uid > last));
        let mut updates = Vec::new();
        if expunges == Expunges::Allowed {
            self.expunge(&mut updates);
        }
        self.uids.extend(new.iter().map(|m| m.uid));
        // What was claimed may have come after these changes: it waits for those that tell of it.
        self.recent = self.recent.union(claimed);
        if !new.is_empty() {
            updates.push(Update::Exists(self.exists()));
        }
        if !new.is_empty() || !claimed.is_empty() {
            let recent = self.recent.iter().filter(|uid| self.number(*uid).is_some()).count();
            updates.push(Update::Recent(recent as u32));
        }
        for message in changed {
            let is_known = self.told.get(&message.uid).is_some_and(|modseq| *modseq >= message.modseq);
            if let Some(number) = self.number(message.uid).filter(|_| !is_known) {
                updates.push(Update::Flags {
                    number,
                    uid: message.uid,
                    flags: message.flags.clone(),
                    recent: self.recent(message.uid),
                    modseq: message.modseq,
                });
            }
        }
        self.told.clear();
        self.modseq = self.modseq.max(delta.through.get());
        updates
    }

    /// Highest number first, so that none is renumbered by another.
    fn expunge(&mut self, updates: &mut Vec<Update>) {
        if self.gone.is_empty() {
            return;
        }
        let numbers = (1..).zip(&self.uids).filter(|(_, uid)| self.gone.contains(**uid)).map(|(n, _)| n);
        let numbers: Vec<u32> = numbers.collect();
        updates.extend(numbers.into_iter().rev().map(Update::Expunge));
        self.uids.retain(|uid| !self.gone.contains(*uid));
        self.recent = self.recent.difference(&self.gone);
        self.gone = UidSet::new();
    }

    /// Whether the client has to be told of expunged messages.
    pub fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::{EmailId, Message, Timestamp};

    fn uids(numbers: &[u32]) -> UidSet {
        numbers.iter().filter_map(|n| Uid::new(*n)).collect()
    }

    fn modseq(number: u64) -> ModSeq {
        ModSeq::new(number).unwrap()
    }

    fn message(uid: u32, at: u64) -> Message {
        Message {
            uid: Uid::new(uid).unwrap(),
            modseq: modseq(at),
            flags: Flags::new(),
            internal_date: Timestamp(0),
            saved_at: Timestamp(0),
            expires_at: None,
            size: 0,
            email_id: EmailId([0; 12]),
            structure: None,
            delivery: None,
        }
    }

    fn delta(through: u64, changed: Vec<Message>, vanished: &[u32]) -> Delta {
        Delta { through: modseq(through), changed, vanished: uids(vanished) }
    }

    #[test]
    fn recent_messages_claimed_before_they_are_told_of_are_not_lost() {
        let mut view = View::new(&UidSet::new(), modseq(1), UidSet::new());
        // UID 2 came after the changes were read, and before the claim.
        let updates = view.apply(&delta(2, vec![message(1, 2)], &[]), &uids(&[1, 2]), Expunges::Allowed);
        assert_eq!(updates, [Update::Exists(1), Update::Recent(1)]);
        let updates = view.apply(&delta(3, vec![message(2, 3)], &[]), &UidSet::new(), Expunges::Allowed);
        assert_eq!(updates, [Update::Exists(2), Update::Recent(2)]);
        assert_eq!(view.recent(Uid::new(2).unwrap()), Recent::Yes);
    }

    #[test]
    fn held_expunges_come_later_highest_first() {
        let mut view = View::new(&uids(&[1, 2, 3]), modseq(1), UidSet::new());
        let gone = delta(2, vec![message(4, 2)], &[1, 3, 9]);
        let updates = view.apply(&gone, &UidSet::new(), Expunges::Held);
        assert_eq!(updates, [Update::Exists(4), Update::Recent(0)]);
        assert_eq!(view.number(Uid::new(4).unwrap()), Some(4));
        let updates = view.apply(&delta(2, vec![], &[]), &UidSet::new(), Expunges::Allowed);
        assert_eq!(updates, [Update::Expunge(3), Update::Expunge(1)]);
        assert_eq!(view.number(Uid::new(4).unwrap()), Some(2));
    }

    #[test]
    fn a_message_that_came_and_went_is_never_told_of() {
        let mut view = View::new(&uids(&[1]), modseq(1), UidSet::new());
        assert_eq!(view.apply(&delta(3, vec![], &[2]), &UidSet::new(), Expunges::Allowed), []);
        assert_eq!(view.exists(), 1);
    }
}
