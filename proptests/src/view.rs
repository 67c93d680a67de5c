//! A client that believes what it is told, and a mailbox that others change: the naive model of a
//! [`View`](gadwall::imap::view::View).

use gadwall::imap::view::Update;
use gadwall_storage::{Delta, EmailId, Flags, Message, ModSeq, SystemFlag, Timestamp, Uid, UidSet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to the mailbox, or what the session does.
#[derive(Debug, Clone)]
pub enum Happening {
    Appended {
        count: u8,
    },
    /// By bit of the message's place.
    Expunged {
        places: u16,
    },
    Flagged {
        places: u16,
        flags: u8,
    },
    /// This session's own STORE: it is answered at once and need not be told again.
    StoredHere {
        places: u16,
        flags: u8,
    },
    /// The session looks, where EXPUNGE is allowed or not.
    Synced {
        expunges: bool,
    },
}

pub fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        3 => (0u8..4).prop_map(|count| Happening::Appended { count }),
        3 => any::<u16>().prop_map(|places| Happening::Expunged { places }),
        2 => (any::<u16>(), 0u8..32).prop_map(|(places, flags)| Happening::Flagged { places, flags }),
        2 => (any::<u16>(), 0u8..32).prop_map(|(places, flags)| Happening::StoredHere { places, flags }),
        5 => any::<bool>().prop_map(|expunges| Happening::Synced { expunges }),
    ];
    prop::collection::vec(one, 1..40)
}

pub fn flags(bits: u8) -> Flags {
    let chosen = SystemFlag::ALL.into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
    chosen.fold(Flags::new(), |flags, (_, flag)| flags.with(flag))
}

/// The mailbox: every change under a modseq of its own, as a store counts.
#[derive(Debug)]
pub struct Mailbox {
    pub messages: BTreeMap<u32, (u64, Flags)>,
    gone: BTreeMap<u32, u64>,
    next: u32,
    pub modseq: u64,
    unclaimed: BTreeSet<u32>,
}

impl Default for Mailbox {
    fn default() -> Self {
        let (messages, gone, unclaimed) = Default::default();
        // A mailbox begins with the modseq of its making.
        Mailbox { messages, gone, next: 0, modseq: 1, unclaimed }
    }
}

impl Mailbox {
    pub fn append(&mut self) {
        self.modseq += 1;
        self.next += 1;
        self.messages.insert(self.next, (self.modseq, Flags::new()));
        self.unclaimed.insert(self.next);
    }

    pub fn at(&self, places: u16) -> Vec<u32> {
        let chosen = self.messages.keys().enumerate().filter(|(i, _)| places >> (i % 16) & 1 == 1);
        chosen.map(|(_, uid)| *uid).collect()
    }

    pub fn expunge(&mut self, uids: &[u32]) {
        self.modseq += 1;
        for uid in uids {
            self.messages.remove(uid);
            self.unclaimed.remove(uid);
            self.gone.insert(*uid, self.modseq);
        }
    }

    pub fn flag(&mut self, uids: &[u32], bits: u8) {
        self.modseq += 1;
        for uid in uids {
            self.messages.insert(*uid, (self.modseq, flags(bits)));
        }
    }

    pub fn uids(&self) -> UidSet {
        set(self.messages.keys().copied())
    }

    /// The messages nobody has been told of: from now on this session has.
    pub fn claim(&mut self) -> UidSet {
        set(std::mem::take(&mut self.unclaimed))
    }

    /// What a store's `changes_since` answers.
    pub fn since(&self, modseq: u64) -> Delta {
        let changed = self.messages.iter().filter(|(_, (at, _))| *at > modseq);
        let gone = self.gone.iter().filter(|(_, at)| **at > modseq);
        Delta {
            through: ModSeq::new(self.modseq).expect("from 1"),
            changed: changed.map(|(uid, (at, flags))| message(*uid, *at, flags)).collect(),
            vanished: set(gone.map(|(uid, _)| *uid)),
        }
    }
}

fn set(uids: impl IntoIterator<Item = u32>) -> UidSet {
    uids.into_iter().filter_map(Uid::new).collect()
}

fn message(uid: u32, modseq: u64, flags: &Flags) -> Message {
    Message {
        uid: Uid::new(uid).expect("from 1"),
        modseq: ModSeq::new(modseq).expect("from 1"),
        email_id: EmailId([0; 12]),
        flags: flags.clone(),
        internal_date: Timestamp::from_secs(0),
        saved_at: Timestamp::from_secs(0),
        expires_at: None,
        size: 0,
        structure: None,
        delivery: None,
    }
}

/// What a client makes of untagged responses: a list in which a message is known by its number alone.
#[derive(Debug, Default)]
pub struct Client {
    /// The UID of each message, as the server means it, and the flags the client was told.
    pub list: Vec<(u32, Option<Flags>)>,
}

impl Client {
    /// Believes a response. `new` gives the UIDs of messages that appear, as a FETCH of them would.
    ///
    /// Panics where a real client loses count: numbers beyond the list, an EXISTS that shrinks.
    pub fn hear(&mut self, update: &Update, new: &mut impl Iterator<Item = u32>) {
        match update {
            Update::Expunge { number, uid } => {
                assert!((1..=self.list.len()).contains(&(*number as usize)), "EXPUNGE of {number}: {self:?}");
                let gone = self.list.remove(*number as usize - 1);
                assert_eq!(gone.0, uid.get(), "VANISHED names another message than EXPUNGE");
            }
            Update::Exists(n) => {
                assert!(*n as usize >= self.list.len(), "EXISTS {n} takes messages away: {self:?}");
                while self.list.len() < *n as usize {
                    self.list.push((new.next().expect("a message that exists"), None));
                }
            }
            Update::Recent(n) => assert!(*n as usize <= self.list.len(), "RECENT {n}: {self:?}"),
            Update::Flags { number, uid, flags, .. } => {
                assert!((1..=self.list.len()).contains(&(*number as usize)), "FETCH {number}: {self:?}");
                let entry = &mut self.list[*number as usize - 1];
                assert_eq!(entry.0, uid.get(), "the flags of another message");
                entry.1 = Some(flags.clone());
            }
        }
    }
}
