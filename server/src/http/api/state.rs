//! How far a client of the event stream has followed an account: what an event's id says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gadwall_storage::{Delta, Mailbox, MailboxId, ModSeq};
use std::collections::BTreeMap;

/// Bytes per mailbox: id, modseq, UIDNEXT.
const ENTRY: usize = 12 + 8 + 4;
/// Most mailboxes that an id speaks of; others are told from their beginning again.
const MAILBOXES: usize = 1000;

/// Modseq and UIDNEXT of a mailbox (0: all used up).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub modseq: u64,
    pub uidnext: u32,
}

impl Mark {
    /// Of a mailbox in which nothing has happened.
    pub const START: Mark = Mark { modseq: 1, uidnext: 1 };

    pub fn of(mailbox: &Mailbox) -> Mark {
        Mark { modseq: mailbox.modseq.get(), uidnext: mailbox.uidnext.map_or(0, |u| u.get()) }
    }

    /// Once `delta` has been told.
    pub fn after(self, delta: &Delta) -> Mark {
        let next = delta.changed.last().map_or(0, |m| m.uid.get().saturating_add(1));
        let uidnext = if self.uidnext == 0 { 0 } else { self.uidnext.max(next) };
        Mark { modseq: delta.through.get(), uidnext }
    }

    /// Whether a message with this UID came after the mark.
    pub fn is_new(self, uid: u32) -> bool {
        self.uidnext != 0 && uid >= self.uidnext
    }
}

/// The marks of an account's mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State(pub BTreeMap<MailboxId, Mark>);

impl State {
    pub fn of(mailboxes: &[Mailbox]) -> State {
        State(mailboxes.iter().map(|m| (m.id, Mark::of(m))).collect())
    }

    /// As an event id. Mailboxes in which nothing happened are left out.
    pub fn encode(&self) -> String {
        let mut bytes = vec![1];
        let told = self.0.iter().filter(|(_, mark)| mark.modseq > ModSeq::MIN.get());
        for (id, mark) in told.take(MAILBOXES) {
            bytes.extend_from_slice(&id.0);
            bytes.extend_from_slice(&mark.modseq.to_be_bytes());
            bytes.extend_from_slice(&mark.uidnext.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` for what is no id of ours.
    pub fn decode(text: &str) -> Option<State> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, rest) = bytes.split_first()?;
        if *version != 1 || rest.len() % ENTRY != 0 {
            return None;
        }
        let mut state = State::default();
        for entry in rest.chunks_exact(ENTRY) {
            let mark = Mark {
                modseq: u64::from_be_bytes(entry[12..20].try_into().ok()?),
                uidnext: u32::from_be_bytes(entry[20..].try_into().ok()?),
            };
            state.0.insert(MailboxId(entry[..12].try_into().ok()?), mark);
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_says_what_was_put_into_it(marks in prop::collection::btree_map(any::<[u8; 12]>(), (2u64.., any::<u32>()), 0..20)) {
            let marks = marks.into_iter().map(|(id, (modseq, uidnext))| (MailboxId(id), Mark { modseq, uidnext }));
            let state = State(marks.collect());
            prop_assert_eq!(State::decode(&state.encode()), Some(state));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC{0,80}") {
            State::decode(&text);
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "x", "AA", "AQA", "é"] {
            assert_eq!(State::decode(text), None, "{text}");
        }
    }
}
