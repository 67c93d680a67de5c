//! A client that knows a mailbox only through deltas.

use crate::*;
use std::collections::BTreeMap;

/// What a client that resynchronises with [`Feed::changes_since`] believes a mailbox holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Client {
    pub through: u64,
    pub messages: BTreeMap<Uid, (ModSeq, Flags)>,
}

impl Client {
    /// Takes in a delta, checking that it tells nothing a client could be led astray by.
    pub fn apply(&mut self, delta: &Delta) {
        assert!(delta.through.get() >= self.through, "a delta never leads back");
        assert!(delta.changed.windows(2).all(|w| w[0].uid < w[1].uid), "changed messages ascend by UID");
        for message in &delta.changed {
            assert!(message.modseq.get() > self.through, "a delta tells only of changes after its start");
            assert!(message.modseq <= delta.through, "a delta tells only of changes up to its end");
            assert!(!delta.vanished.contains(message.uid), "a message is not both there and gone");
            let known = self.messages.insert(message.uid, (message.modseq, message.flags.clone()));
            // A UID that appears is above all that were known: UIDs become visible in order.
            let last = self.messages.last_key_value().map(|(uid, _)| *uid);
            assert!(
                known.is_some() || last == Some(message.uid),
                "UID {} appears behind {last:?}",
                message.uid
            );
        }
        self.messages.retain(|uid, _| !delta.vanished.contains(*uid));
        self.through = delta.through.get();
    }

    /// What a client knows that has read the mailbox whole.
    pub fn of(messages: &[Message], through: u64) -> Self {
        let messages = messages.iter().map(|m| (m.uid, (m.modseq, m.flags.clone()))).collect();
        Self { through, messages }
    }
}
