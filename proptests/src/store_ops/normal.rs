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
    /// A UIDVALIDITY means something with its mailbox only: others may have the same.
    validities: BTreeMap<(MailboxId, UidValidity), u32>,
    /// Which mailbox of an account had a name with a UIDVALIDITY.
    met: BTreeMap<(AccountId, MailboxName, UidValidity), MailboxId>,
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
    fn validity(&mut self, of: MailboxId, v: UidValidity) -> UidValidity {
        UidValidity(NonZeroU32::new(number(&mut self.validities, (of, v))).expect("counted from 1"))
    }

    /// A name never has a UIDVALIDITY again that it had with another mailbox.
    fn meet(&mut self, account: AccountId, m: &Mailbox) {
        let key = (account, m.name.clone(), m.uidvalidity);
        let first = *self.met.entry(key).or_insert(m.id);
        assert_eq!(first, m.id, "UIDVALIDITY {} repeats for {}", m.uidvalidity, m.name);
    }

    pub fn mailbox(&mut self, mut m: Mailbox) -> Mailbox {
        m.uidvalidity = self.validity(m.id, m.uidvalidity);
        m.id = MailboxId(id(number(&mut self.mailboxes, m.id)));
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

    /// `target` is the mailbox that the call adds messages to, if it does.
    pub fn answer(&mut self, answer: Answer, target: Option<MailboxId>) -> Answer {
        match (answer, target) {
            (Answer::Mailbox(m), _) => Answer::Mailbox(self.mailbox(m)),
            (Answer::Replaced(mut replaced), Some(to)) => {
                replaced.appended.uidvalidity = self.validity(to, replaced.appended.uidvalidity);
                Answer::Replaced(replaced)
            }
            (Answer::Appended(a), Some(to)) => {
                Answer::Appended(Appended { uidvalidity: self.validity(to, a.uidvalidity), ..a })
            }
            (Answer::Copied(c), Some(to)) => {
                Answer::Copied(Copied { uidvalidity: self.validity(to, c.uidvalidity), ..c })
            }
            (same, _) => same,
        }
    }

    pub fn account(&mut self, mut snapshot: AccountSnapshot) -> AccountSnapshot {
        for m in &mut snapshot.mailboxes {
            self.meet(snapshot.account.id, &m.mailbox);
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
