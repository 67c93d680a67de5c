//! A client that does as it is told ends with the mailbox the store has, whatever others do in between.

use gadwall::imap::types::{By, SeqNum};
use gadwall::imap::view::{Expunges, Update, View};
use gadwall_proptests::view::{Client, Happening, Mailbox, happenings};
use gadwall_proptests::{config, imap::sequence_set};
use gadwall_storage::{ModSeq, Uid, UidSet};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// A mailbox, a session's view of it, and the client behind the session.
struct World {
    mailbox: Mailbox,
    view: View,
    client: Client,
    recent: BTreeSet<u32>,
}

impl World {
    fn new(messages: u8) -> World {
        let mut mailbox = Mailbox::default();
        (0..messages).for_each(|_| mailbox.append());
        let recent = mailbox.claim();
        let modseq = ModSeq::new(mailbox.modseq).expect("from 1");
        let view = View::new(&mailbox.uids(), modseq, Some(recent.clone()));
        let client = Client { list: mailbox.messages.keys().map(|uid| (*uid, None)).collect() };
        World { mailbox, view, client, recent: recent.iter().map(Uid::get).collect() }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Appended { count } => (0..*count).for_each(|_| self.mailbox.append()),
            Happening::Expunged { places } => {
                let uids = self.mailbox.at(*places);
                self.mailbox.expunge(&uids);
            }
            Happening::Flagged { places, flags } => {
                let uids = self.mailbox.at(*places);
                self.mailbox.flag(&uids, *flags);
            }
            Happening::StoredHere { places, flags } => self.store(*places, *flags),
            Happening::Synced { expunges } => self.sync(*expunges),
        }
    }

    /// A STORE of messages the client knows, answered at once.
    fn store(&mut self, places: u16, bits: u8) {
        let mut uids = self.mailbox.at(places);
        uids.retain(|uid| self.view.number(Uid::new(*uid).expect("from 1")).is_some());
        self.mailbox.flag(&uids, bits);
        for uid in uids {
            let uid = Uid::new(uid).expect("from 1");
            let number = self.view.number(uid).expect("known") as usize;
            self.view.told(uid, ModSeq::new(self.mailbox.modseq).expect("from 1"));
            assert_eq!(
                self.client.list[number - 1].0,
                uid.get(),
                "the answer to STORE names another message"
            );
            self.client.list[number - 1].1 = Some(gadwall_proptests::view::flags(bits));
        }
    }

    fn sync(&mut self, expunges: bool) {
        let delta = self.mailbox.since(self.view.modseq());
        let last = self.view.last_uid().map_or(0, Uid::get);
        let mut new: VecDeque<u32> =
            delta.changed.iter().map(|m| m.uid.get()).filter(|uid| *uid > last).collect();
        let claimed = self.mailbox.claim();
        self.recent.extend(claimed.iter().map(Uid::get));
        let before = self.client.list.len();
        let allowed = if expunges { Expunges::Allowed } else { Expunges::Held };
        let updates = self.view.apply(&delta, &claimed, allowed);
        let said = updates.iter().filter(|u| matches!(u, Update::Expunge { .. })).count();
        assert!(expunges || said == 0, "EXPUNGE while it is held: {updates:?}");
        let mut unheard = std::iter::from_fn(|| new.pop_front());
        updates.iter().for_each(|update| self.client.hear(update, &mut unheard));
        assert_eq!(unheard.next(), None, "a new message that EXISTS does not count: {updates:?}");
        assert!(self.client.list.len() + said >= before, "messages went without EXPUNGE");
        if let Some(Update::Recent(n)) = updates.iter().rev().find(|u| matches!(u, Update::Recent(_))) {
            let known = self.client.list.iter().filter(|(uid, _)| self.recent.contains(uid)).count();
            assert_eq!(*n as usize, known, "RECENT: {updates:?}");
        }
        self.check(expunges);
    }

    /// The client, the view and the mailbox agree; while EXPUNGE is held, what is gone is still counted.
    fn check(&self, expunges: bool) {
        let listed: Vec<u32> = self.client.list.iter().map(|(uid, _)| *uid).collect();
        let viewed: Vec<u32> = self.view.uids().iter().map(Uid::get).collect();
        assert_eq!(listed, viewed);
        assert_eq!(self.view.exists() as usize, listed.len());
        let there: Vec<u32> = self.mailbox.messages.keys().copied().collect();
        if expunges {
            assert_eq!(listed, there);
            assert!(!self.view.has_gone());
        } else {
            assert!(there.iter().all(|uid| listed.contains(uid)));
            assert_eq!(self.view.has_gone(), listed.len() > there.len());
        }
        for (uid, heard) in &self.client.list {
            if let (Some(heard), Some((_, now))) = (heard, self.mailbox.messages.get(uid)) {
                assert_eq!(heard, now, "flags of {uid}");
            }
        }
        for (n, uid) in (1..).zip(&listed) {
            assert_eq!(self.view.number(Uid::new(*uid).expect("from 1")), Some(n));
        }
    }
}

fn number(n: SeqNum, largest: u32) -> u32 {
    match n {
        SeqNum::Number(n) => n.get(),
        SeqNum::Star => largest,
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn the_client_ends_with_the_mailbox(messages in 0u8..8, happenings in happenings()) {
        let mut world = World::new(messages);
        happenings.iter().for_each(|h| world.happen(h));
        world.sync(true);
        // A change the client knew of before it was told is one it made itself.
        prop_assert_eq!(world.view.modseq(), world.mailbox.modseq);
    }

    /// Sequence sets against a loop over all numbers.
    #[test]
    fn sets_name_what_a_loop_finds(
        uids in prop::collection::btree_set(1u32..40, 0..12), set in sequence_set(),
    ) {
        let all: UidSet = uids.iter().filter_map(|n| Uid::new(*n)).collect();
        let uids: Vec<u32> = uids.into_iter().collect();
        let view = View::new(&all, ModSeq::new(1).expect("from 1"), Some(UidSet::new()));
        let (exists, last) = (uids.len() as u32, uids.last().copied().unwrap_or(0));
        let within = |n: u32, largest: u32| set.ranges().iter().any(|(a, b)| {
            let (a, b) = (number(*a, largest), number(*b, largest));
            (a.min(b)..=a.max(b)).contains(&n)
        });
        let by_uid: Vec<u32> = uids.iter().copied().filter(|uid| within(*uid, last)).collect();
        let found = |set: &UidSet| set.iter().map(Uid::get).collect::<Vec<u32>>();
        prop_assert_eq!(found(&view.resolve(&set, By::Uid).expect("UIDs may be unknown")), by_uid);
        let by_number: Vec<u32> =
            (1..=exists).filter(|n| within(*n, exists)).map(|n| uids[n as usize - 1]).collect();
        prop_assert_eq!(found(&view.known(&set)), by_number.clone());
        let known = |n: SeqNum| (1..=exists).contains(&number(n, exists));
        let all_known = set.ranges().iter().all(|(a, b)| known(*a) && known(*b));
        match view.resolve(&set, By::Sequence) {
            Ok(set) => prop_assert!(all_known && found(&set) == by_number),
            Err(_) => prop_assert!(!all_known),
        }
    }
}
