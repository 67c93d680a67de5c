//! Mail as it should be: accounts, mailboxes and messages, every change at one moment.

use crate::history::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub struct Message {
    pub attempt: Attempt,
    pub flags: Vec<String>,
    pub modseq: ModSeq,
    /// The modseq at which it came.
    pub born: ModSeq,
}

#[derive(Debug, Clone)]
pub struct Mailbox {
    pub validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: ModSeq,
    pub messages: BTreeMap<Uid, Message>,
    /// UIDs that are gone, with the modseq of it and that of their coming.
    pub gone: Vec<(ModSeq, Uid, ModSeq)>,
}

#[derive(Debug, Default)]
pub struct Mail {
    pub boxes: BTreeMap<(Login, Name), Mailbox>,
    validity: UidValidity,
}

impl Mail {
    pub fn create(&mut self, login: &str, name: &str) -> Option<()> {
        if self.boxes.contains_key(&(login.into(), name.into())) {
            return None;
        }
        self.validity += 1;
        let new = Mailbox {
            validity: self.validity,
            uid_next: 1,
            modseq: 1,
            messages: BTreeMap::new(),
            gone: Vec::new(),
        };
        self.boxes.insert((login.into(), name.into()), new);
        Some(())
    }

    pub fn find(&self, login: &str, validity: UidValidity) -> Option<&Mailbox> {
        self.boxes.iter().find(|((l, _), b)| l == login && b.validity == validity).map(|(_, b)| b)
    }

    fn at(&mut self, login: &str, name: &str, validity: Option<UidValidity>) -> Option<&mut Mailbox> {
        let found = self.boxes.get_mut(&(login.into(), name.into()))?;
        validity.is_none_or(|v| v == found.validity).then_some(found)
    }

    /// Does what is called for, whole, or nothing: then it is refused.
    pub fn apply(&mut self, call: &Call) -> Option<Reply> {
        match call {
            Call::Submit { to, attempt } => {
                for login in to {
                    self.at(login, "INBOX", None)?.add(*attempt, Vec::new());
                }
                Some(Reply::Done)
            }
            Call::Append { login, mailbox, attempt, flags } => {
                let mailbox = self.at(login, mailbox, None)?;
                let uid = mailbox.add(*attempt, flags.clone());
                Some(Reply::Appended { validity: mailbox.validity, uids: vec![uid] })
            }
            Call::Store { login, mailbox, validity, uids, change, unchanged_since } => {
                Some(self.at(login, mailbox, Some(*validity))?.store(uids, change, *unchanged_since))
            }
            Call::Copy { login, from, validity, uids, to } => {
                self.transfer((login, from, *validity), uids, to, false)
            }
            Call::Move { login, from, validity, uids, to } => {
                self.transfer((login, from, *validity), uids, to, true)
            }
            Call::Expunge { login, mailbox, validity, uids } => {
                Some(Reply::Expunged { uids: self.at(login, mailbox, *validity)?.expunge(uids) })
            }
            Call::Create { login, mailbox } => self.create(login, mailbox).map(|()| Reply::Done),
            Call::Delete { login, mailbox } => {
                self.boxes.remove(&(login.clone(), mailbox.clone())).map(|_| Reply::Done)
            }
            Call::Rename { login, from, to } => self.rename(login, from, to),
        }
    }

    fn transfer(
        &mut self,
        (login, name, validity): (&str, &str, UidValidity),
        uids: &[Uid],
        to: &str,
        moves: bool,
    ) -> Option<Reply> {
        self.at(login, to, None)?;
        let source = self.at(login, name, Some(validity))?;
        let taken: Vec<(Uid, Message)> =
            uids.iter().filter_map(|uid| Some((*uid, source.messages.get(uid)?.clone()))).collect();
        let from: Vec<Uid> = taken.iter().map(|(uid, _)| *uid).collect();
        if moves {
            source.expunge(&from);
        }
        let target = self.at(login, to, None)?;
        let to = taken.into_iter().map(|(_, m)| target.add(m.attempt, m.flags)).collect();
        Some(Reply::Copied { validity: target.validity, from, to })
    }

    fn rename(&mut self, login: &str, from: &str, to: &str) -> Option<Reply> {
        if self.boxes.contains_key(&(login.into(), to.into())) {
            return None;
        }
        if from == "INBOX" {
            self.create(login, to)?;
            let inbox = self.at(login, from, None)?;
            let (validity, uids) = (inbox.validity, inbox.messages.keys().copied().collect::<Vec<_>>());
            self.transfer((login, from, validity), &uids, to, true)?;
            return Some(Reply::Done);
        }
        let moved = self.boxes.remove(&(login.into(), from.into()))?;
        self.boxes.insert((login.into(), to.into()), moved);
        Some(Reply::Done)
    }
}

impl Mailbox {
    /// The newest few messages, of all or of those below a UID.
    pub fn page(&self, below: Option<Uid>) -> Page {
        let mut uids = self.messages.range(..below.unwrap_or(Uid::MAX)).rev().map(|(uid, _)| *uid);
        let page = uids.by_ref().take(5).collect();
        Page { below, uids: page, more: uids.next().is_some() }
    }

    fn add(&mut self, attempt: Attempt, mut flags: Vec<String>) -> Uid {
        flags.sort();
        self.modseq += 1;
        let uid = self.uid_next;
        self.uid_next += 1;
        self.messages.insert(uid, Message { attempt, flags, modseq: self.modseq, born: self.modseq });
        uid
    }

    fn expunge(&mut self, uids: &[Uid]) -> Vec<Uid> {
        self.modseq += 1;
        let mut took = Vec::new();
        for uid in uids {
            if let Some(m) = self.messages.remove(uid) {
                self.gone.push((self.modseq, *uid, m.born));
                took.push(*uid);
            }
        }
        took
    }

    fn store(&mut self, uids: &[Uid], change: &FlagChange, unchanged_since: Option<ModSeq>) -> Reply {
        self.modseq += 1;
        let (mut modseqs, mut modified) = (BTreeMap::new(), Vec::new());
        for uid in uids {
            let Some(m) = self.messages.get_mut(uid) else { continue };
            if unchanged_since.is_some_and(|limit| m.modseq > limit) {
                modified.push(*uid);
                continue;
            }
            let mut flags = m.flags.clone();
            match change {
                FlagChange::Add(add) => flags.extend(add.iter().cloned()),
                FlagChange::Remove(remove) => flags.retain(|f| !remove.contains(f)),
                FlagChange::Replace(all) => flags.clone_from(all),
            }
            flags.sort();
            flags.dedup();
            if flags != m.flags {
                (m.flags, m.modseq) = (flags, self.modseq);
            }
            modseqs.insert(*uid, m.modseq);
        }
        Reply::Stored { modseqs, modified }
    }

    /// As a listing or a fetch shows it.
    pub fn show(&self, uid: Uid) -> Option<Shown> {
        let m = self.messages.get(&uid)?;
        Some(Shown {
            uid,
            modseq: Some(m.modseq),
            flags: Some(m.flags.clone()),
            attempt: Some(m.attempt),
            intact: Some(true),
        })
    }

    pub fn all(&self) -> Vec<Shown> {
        self.messages.keys().filter_map(|uid| self.show(*uid)).collect()
    }
}
