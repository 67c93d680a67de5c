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
    /// Every change up to here has been told, expunges among them.
    told_through: u64,
    /// Messages that are `\Recent` to this session; also some that it has not been told of yet. `None`: it knows of no
    /// such thing (RFC 9051 Appendix E).
    recent: Option<UidSet>,
    /// Expunged, but the client has not been told yet.
    gone: UidSet,
    /// What `$` stands for (RFC 5182 §2.1), with what has gone since.
    saved: UidSet,
    /// What the client knows of its own changes already: not repeated.
    told: BTreeMap<Uid, ModSeq>,
    /// Messages whose flags have changed, of which the client did not want to be told, and since when (RFC 5465).
    withheld: BTreeMap<Uid, ModSeq>,
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
    Expunge { number: u32, uid: Uid },
    Exists(u32),
    Recent(u32),
    Flags { number: u32, uid: Uid, flags: Flags, recent: Recent, modseq: ModSeq },
}

impl Update {
    /// The message that is gone, if that is what is told.
    pub fn expunged(&self) -> Option<Uid> {
        match self {
            Update::Expunge { uid, .. } => Some(*uid),
            _ => None,
        }
    }
}

/// A message number beyond the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchNumber;

impl View {
    pub fn new(uids: &UidSet, modseq: ModSeq, recent: Option<UidSet>) -> Self {
        Self {
            uids: uids.iter().collect(),
            modseq: modseq.get(),
            told_through: modseq.get(),
            recent,
            gone: UidSet::new(),
            saved: UidSet::new(),
            told: BTreeMap::new(),
            withheld: BTreeMap::new(),
        }
    }

    pub fn exists(&self) -> u32 {
        self.uids.len() as u32
    }

    pub fn modseq(&self) -> u64 {
        self.modseq
    }

    /// Up to where a client that is told of everything as it is allowed has been told of it: an expunge that is held back
    /// lies behind (RFC 7162 §3.2).
    pub fn told_through(&self) -> Option<ModSeq> {
        let before_withheld = self.withheld.values().min().map(|modseq| modseq.get() - 1);
        ModSeq::new(before_withheld.map_or(self.told_through, |modseq| modseq.min(self.told_through)))
    }

    /// Of these updates the client does not want those of flags, which are kept for when it does.
    pub fn withhold_flags(&mut self, updates: &mut Vec<Update>) {
        updates.retain(|update| match update {
            Update::Flags { uid, modseq, .. } => {
                self.withheld.entry(*uid).or_insert(*modseq);
                false
            }
            _ => true,
        });
    }

    /// Messages whose flags were withheld.
    pub fn withheld(&self) -> UidSet {
        self.withheld.keys().copied().collect()
    }

    /// The client is about to be told of them.
    pub fn forget_withheld(&mut self) {
        self.withheld.clear();
    }

    /// Whether the client has not been told of some flags.
    pub fn withholds(&self) -> bool {
        !self.withheld.is_empty()
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
        match &self.recent {
            Some(recent) if recent.contains(uid) => Recent::Yes,
            _ => Recent::No,
        }
    }

    /// From now on nothing is `\Recent`.
    pub fn forget_recent(&mut self) {
        self.recent = None;
    }

    /// Whether anything can be `\Recent`.
    pub fn has_recent(&self) -> bool {
        self.recent.is_some()
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

    /// The UIDs a set names, whether there are such messages or not.
    pub fn named(&self, set: &SequenceSet) -> UidSet {
        if set.is_saved() {
            return self.saved();
        }
        set.uids(self.last_uid().map_or(0, Uid::get))
    }

    /// The highest UID that has the number which the client believes: up to there it has seen everything vanish
    /// (RFC 7162 §3.2.5.2).
    pub fn agrees_through(&self, numbers: &SequenceSet, uids: &SequenceSet) -> Option<Uid> {
        let uids = uids.resolve(0).into_iter().flat_map(|(first, last)| first..=last);
        let numbers = numbers.resolve(0).into_iter().flat_map(|(first, last)| first..=last);
        let pairs = numbers.zip(uids).take_while(|(number, _)| *number <= self.exists());
        let agreeing = pairs.filter(|(number, uid)| self.uids[*number as usize - 1].get() == *uid);
        agreeing.filter_map(|(_, uid)| Uid::new(uid)).max()
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
        self.recent = self.recent.as_ref().map(|recent| recent.union(claimed));
        if !new.is_empty() {
            updates.push(Update::Exists(self.exists()));
        }
        if let Some(recent) = self.recent.as_ref().filter(|_| !new.is_empty() || !claimed.is_empty()) {
            let recent = recent.iter().filter(|uid| self.number(*uid).is_some()).count();
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
        if self.gone.is_empty() {
            self.told_through = self.modseq;
        }
        updates
    }

    /// Highest number first, so that none is renumbered by another.
    fn expunge(&mut self, updates: &mut Vec<Update>) {
        if self.gone.is_empty() {
            return;
        }
        let gone = (1..).zip(&self.uids).filter(|(_, uid)| self.gone.contains(**uid));
        let gone: Vec<(u32, Uid)> = gone.map(|(number, uid)| (number, *uid)).collect();
        updates.extend(gone.into_iter().rev().map(|(number, uid)| Update::Expunge { number, uid }));
        self.uids.retain(|uid| !self.gone.contains(*uid));
        self.recent = self.recent.as_ref().map(|recent| recent.difference(&self.gone));
        self.withheld.retain(|uid, _| !self.gone.contains(*uid));
        self.gone = UidSet::new();
    }

    /// Whether the client has to be told of expunged messages.
    pub fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::SeqNum;
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
        let mut view = View::new(&UidSet::new(), modseq(1), Some(UidSet::new()));
        // UID 2 came after the changes were read, and before the claim.
        let updates = view.apply(&delta(2, vec![message(1, 2)], &[]), &uids(&[1, 2]), Expunges::Allowed);
        assert_eq!(updates, [Update::Exists(1), Update::Recent(1)]);
        let updates = view.apply(&delta(3, vec![message(2, 3)], &[]), &UidSet::new(), Expunges::Allowed);
        assert_eq!(updates, [Update::Exists(2), Update::Recent(2)]);
        assert_eq!(view.recent(Uid::new(2).unwrap()), Recent::Yes);
    }

    #[test]
    fn held_expunges_come_later_highest_first() {
        let mut view = View::new(&uids(&[1, 2, 3]), modseq(1), Some(UidSet::new()));
        let gone = delta(2, vec![message(4, 2)], &[1, 3, 9]);
        let updates = view.apply(&gone, &UidSet::new(), Expunges::Held);
        assert_eq!(updates, [Update::Exists(4), Update::Recent(0)]);
        assert_eq!(view.told_through(), Some(modseq(1)), "not while an expunge is held");
        assert_eq!(view.number(Uid::new(4).unwrap()), Some(4));
        let updates = view.apply(&delta(2, vec![], &[]), &UidSet::new(), Expunges::Allowed);
        let uid = |number| Uid::new(number).unwrap();
        let expunge = |number| Update::Expunge { number, uid: uid(number) };
        assert_eq!(updates, [expunge(3), expunge(1)]);
        assert_eq!(view.told_through(), Some(modseq(2)));
        assert_eq!(view.number(Uid::new(4).unwrap()), Some(2));
    }

    #[test]
    fn a_message_that_came_and_went_is_never_told_of() {
        let mut view = View::new(&uids(&[1]), modseq(1), Some(UidSet::new()));
        assert_eq!(view.apply(&delta(3, vec![], &[2]), &UidSet::new(), Expunges::Allowed), []);
        assert_eq!(view.exists(), 1);
    }

    fn set(ranges: &[(u32, u32)]) -> SequenceSet {
        let number = |n| SeqNum::Number(std::num::NonZeroU32::new(n).unwrap());
        SequenceSet::new(ranges.iter().map(|(a, b)| (number(*a), number(*b))).collect()).unwrap()
    }

    #[test]
    fn numbers_and_uids_are_believed_as_far_as_they_agree() {
        // RFC 7162 §3.2.5.2: only UIDs divisible by three are there.
        let view = View::new(&uids(&[3, 6, 9, 12]), modseq(1), Some(UidSet::new()));
        let through = |numbers: &[(u32, u32)], uids: &[(u32, u32)]| {
            view.agrees_through(&set(numbers), &set(uids)).map(Uid::get)
        };
        assert_eq!(through(&[(1, 1), (3, 3), (4, 4)], &[(3, 3), (9, 9), (13, 13)]), Some(9));
        assert_eq!(through(&[(1, 1)], &[(4, 4)]), None);
        // As many as a client may name cost no more than there are messages.
        assert_eq!(through(&[(1, u32::MAX)], &[(1, u32::MAX)]), None);
    }

    #[test]
    fn a_set_names_uids_that_are_not_there() {
        let view = View::new(&uids(&[3, 6]), modseq(1), Some(UidSet::new()));
        let star = SequenceSet::new(vec![(SeqNum::Star, SeqNum::Star)]).unwrap();
        assert_eq!(view.named(&set(&[(9, 8), (1, 2)])), uids(&[1, 2, 8, 9]));
        assert_eq!(view.named(&star), uids(&[6]));
        let empty = View::new(&UidSet::new(), modseq(1), Some(UidSet::new()));
        assert_eq!(empty.named(&star), UidSet::new());
    }
}
