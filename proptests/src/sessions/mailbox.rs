//! The mailboxes as IMAP's rules have them.

use super::command::{FLAGS, How};
use std::collections::{BTreeMap, BTreeSet};

/// A message, by UID elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// As a [`Known`](gadwall_conformance::picture::Known) has them.
    pub flags: BTreeSet<String>,
    /// What its text says.
    pub text: u32,
    /// As the server has told it, once it has.
    pub modseq: u64,
}

/// A mailbox. Nothing in here knows of sessions.
#[derive(Debug)]
pub struct Mailbox {
    pub messages: BTreeMap<u32, Message>,
    pub next: u32,
    /// Higher than any modseq that was told so far.
    pub highest: u64,
    /// Those that the command at hand has changed for certain: their modseq has to rise (RFC 7162 §3.1).
    pub changed: BTreeSet<u32>,
    /// Those that it has named without a change: their modseq may rise.
    pub touched: BTreeSet<u32>,
}

impl Default for Mailbox {
    fn default() -> Self {
        let (messages, changed, touched) = Default::default();
        Mailbox { messages, next: 1, highest: 0, changed, touched }
    }
}

/// The flags that these bits choose.
pub fn flags(bits: u8) -> BTreeSet<String> {
    let chosen = FLAGS.into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
    chosen.map(|(_, flag)| flag.to_ascii_lowercase()).collect()
}

impl How {
    /// What STORE makes of the flags that there are.
    pub fn apply(self, flags: &mut BTreeSet<String>, named: &BTreeSet<String>) {
        match self {
            How::Set => flags.clone_from(named),
            How::Add => flags.extend(named.iter().cloned()),
            How::Remove => flags.retain(|flag| !named.contains(flag)),
        }
    }
}

impl Mailbox {
    /// The UID it gets: always the next one (RFC 3501 §2.3.1.1).
    pub fn add(&mut self, flags: BTreeSet<String>, text: u32) -> u32 {
        let uid = self.next;
        self.next += 1;
        self.messages.insert(uid, Message { flags, text, modseq: 0 });
        self.changed.insert(uid);
        uid
    }

    pub fn store(&mut self, uid: u32, how: How, flags: &BTreeSet<String>) {
        let Some(message) = self.messages.get_mut(&uid) else { return };
        let before = message.flags.clone();
        how.apply(&mut message.flags, flags);
        let changes = if message.flags == before { &mut self.touched } else { &mut self.changed };
        changes.insert(uid);
    }

    /// Those of `among` with `\Deleted` go; which they were.
    pub fn expunge(&mut self, among: impl Fn(u32) -> bool) -> Vec<u32> {
        let is_deleted = |message: &Message| message.flags.contains("\\deleted");
        let going: Vec<u32> = self
            .messages
            .iter()
            .filter(|(uid, message)| among(**uid) && is_deleted(message))
            .map(|(uid, _)| *uid)
            .collect();
        going.iter().for_each(|uid| _ = self.messages.remove(uid));
        going
    }

    pub fn uids(&self) -> Vec<u32> {
        self.messages.keys().copied().collect()
    }
}
