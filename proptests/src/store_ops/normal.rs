//! Answers with what the store chooses freely replaced by the order in which it was first seen.

use super::call::Answer;
use gadwall_storage::contract::AccountSnapshot;
use gadwall_storage::*;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// What one store has given out so far.
#[derive(Default)]
pub struct Names {
    mailboxes: BTreeMap<MailboxId, u32>,
    emails: BTreeMap<EmailId, u32>,
    validities: BTreeMap<UidValidity, u32>,
    /// Whether RECENT may differ: it need not survive a restart.
    pub recent_unknown: bool,
}

fn number<T: Ord>(seen: &mut BTreeMap<T, u32>, id: T) -> u32 {
    let next = seen.len() as u32 + 1;
    *seen.entry(id).or_insert(next)
}

fn id(n: u32) -> [u8; 12] {
    let mut id = [0; 12];
    id[..4].copy_from_slice(&n.to_be_bytes());
    id
}

impl Names {
    fn validity(&mut self, v: UidValidity) -> UidValidity {
        UidValidity(NonZeroU32::new(number(&mut self.validities, v)).expect("counted from 1"))
    }

    pub fn mailbox(&mut self, mut m: Mailbox) -> Mailbox {
        m.id = MailboxId(id(number(&mut self.mailboxes, m.id)));
        m.uidvalidity = self.validity(m.uidvalidity);
        if self.recent_unknown {
            m.recent = 0;
        }
        m
    }

    fn message(&mut self, mut m: Message) -> Message {
        m.email_id = EmailId(id(number(&mut self.emails, m.email_id)));
        m
    }

    pub fn changes(&mut self, changes: Changes) -> Changes {
        match changes {
            Changes::Delta(mut delta) => {
                delta.changed = delta.changed.into_iter().map(|m| self.message(m)).collect();
                Changes::Delta(delta)
            }
            other => other,
        }
    }

    pub fn answer(&mut self, answer: Answer) -> Answer {
        match answer {
            Answer::Mailbox(m) => Answer::Mailbox(self.mailbox(m)),
            Answer::Appended(a) => {
                Answer::Appended(Appended { uidvalidity: self.validity(a.uidvalidity), ..a })
            }
            Answer::Copied(c) => Answer::Copied(Copied { uidvalidity: self.validity(c.uidvalidity), ..c }),
            same => same,
        }
    }

    pub fn account(&mut self, mut snapshot: AccountSnapshot) -> AccountSnapshot {
        for m in &mut snapshot.mailboxes {
            m.mailbox = self.mailbox(m.mailbox.clone());
            m.messages = m.messages.drain(..).map(|message| self.message(message)).collect();
            m.changes = self.changes(m.changes.clone());
        }
        snapshot
    }
}

/// An error as far as a caller acts on it: texts may differ, and so may which of two missing things was missed first.
pub fn error(e: StoreError) -> StoreError {
    match e {
        StoreError::NotFound(_) => StoreError::NotFound(Subject::Account),
        StoreError::LimitReached(_) => StoreError::LimitReached(""),
        StoreError::NotPermitted(_) => StoreError::NotPermitted(""),
        StoreError::Unavailable { outcome_unknown, .. } => {
            StoreError::Unavailable { reason: String::new(), retry_after: None, outcome_unknown }
        }
        other => other,
    }
}
