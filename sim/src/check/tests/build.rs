//! Histories by hand, a line for each event.

use crate::check::{Facts, Finding, run};
use crate::history::*;
use std::collections::BTreeMap;
use std::time::Duration;

pub const ME: &str = "me@sim.test";

/// One mailbox is enough for most: INBOX, of UIDVALIDITY 1; `Work` has 2.
#[derive(Default)]
pub struct Build {
    events: Vec<Event>,
    ops: OpNo,
    pub facts: Facts,
}

pub fn mail(n: u32) -> Attempt {
    Attempt { mail: n, attempt: 1 }
}

/// A message, which is attempt 1 of the mail of its UID unless said otherwise.
pub fn shown(uid: Uid) -> Shown {
    Shown { uid, modseq: None, flags: None, attempt: Some(mail(uid)), intact: None }
}

pub fn flagged(uid: Uid, modseq: ModSeq, flags: &[&str]) -> Shown {
    let flags = Some(flags.iter().map(|f| (*f).to_owned()).collect());
    Shown { modseq: Some(modseq), flags, ..shown(uid) }
}

pub fn all(uids: &[Uid]) -> Vec<Shown> {
    uids.iter().map(|uid| shown(*uid)).collect()
}

fn validity(mailbox: &str) -> UidValidity {
    if mailbox == "INBOX" { 1 } else { 2 }
}

impl Build {
    /// Every event is a millisecond after the one before.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.events.len() as u64)
    }

    pub fn event(&mut self, client: ClientId, what: What) {
        self.events.push(Event { at: self.now(), client, session: 1, what });
    }

    pub fn saw(&mut self, client: ClientId, sight: Sight) {
        self.event(client, What::Saw(sight));
    }

    pub fn begin(&mut self, client: ClientId, call: Call) -> OpNo {
        self.ops += 1;
        let op = self.ops;
        self.event(client, What::Invoked { op, call });
        op
    }

    pub fn end(&mut self, client: ClientId, op: OpNo, outcome: Outcome) {
        self.event(client, What::Ended { op, outcome });
    }

    pub fn ack(&mut self, client: ClientId, op: OpNo, reply: Reply) {
        self.end(client, op, Outcome::Acknowledged(reply));
    }

    /// An operation from begin to end.
    pub fn done(&mut self, client: ClientId, call: Call, reply: Reply) {
        let op = self.begin(client, call);
        self.ack(client, op, reply);
    }

    pub fn unknown(&mut self, client: ClientId, call: Call) {
        let op = self.begin(client, call);
        self.end(client, op, Outcome::Unknown("reset".into()));
    }

    /// Mails with these numbers, appended and told their UIDs, which are the same.
    pub fn append(&mut self, uids: &[Uid]) {
        for &uid in uids {
            self.done(1, append(uid), Reply::Appended { validity: 1, uids: vec![uid] });
        }
    }

    /// A listing asked for now.
    pub fn list(&mut self, client: ClientId, mailbox: &str, messages: Vec<Shown>) {
        let since = self.now();
        self.event(client, What::Asked);
        self.answer(client, mailbox, since, messages);
    }

    /// A listing that was asked for earlier.
    pub fn answer(&mut self, client: ClientId, mailbox: &str, since: Duration, messages: Vec<Shown>) {
        let (login, validity) = (ME.into(), validity(mailbox));
        self.saw(client, Sight::Listed { login, mailbox: mailbox.into(), validity, since, messages });
    }

    pub fn status(&mut self, uid_next: Uid, highest_modseq: ModSeq, exists: u32) {
        self.event(5, What::Asked);
        let (login, mailbox) = (ME.into(), "INBOX".into());
        self.saw(5, Sight::Status { login, mailbox, validity: 1, uid_next, highest_modseq, exists });
    }

    pub fn select(&mut self, client: ClientId, uids: &[Uid], highest_modseq: ModSeq) {
        self.event(client, What::Asked);
        let (login, mailbox) = (ME.into(), "INBOX".into());
        let uid_next = uids.last().map_or(1, |uid| uid + 1);
        let exists = uids.len() as u32;
        self.saw(client, Sight::Selected { login, mailbox, validity: 1, uid_next, highest_modseq, exists });
    }

    pub fn notice(&mut self, client: ClientId, new: &[Uid], gone: &[Uid]) {
        let (login, mailbox, changed) = (ME.into(), "INBOX".into(), Vec::new());
        let (new, gone) = (all(new), gone.to_vec());
        self.saw(client, Sight::Noticed { login, mailbox, validity: 1, new, changed, gone });
    }

    pub fn changed(&mut self, client: ClientId, span: (ModSeq, ModSeq), changed: Vec<Shown>, gone: &[Uid]) {
        self.event(client, What::Asked);
        let (login, mailbox, gone) = (ME.into(), "INBOX".into(), gone.to_vec());
        let (since, upto) = span;
        self.saw(client, Sight::Changed { login, mailbox, validity: 1, since, upto, changed, gone });
    }

    pub fn events(&self) -> &[Event] {
        &self.events
    }

    pub fn check(&self) -> Vec<Finding> {
        run(&self.events, &self.facts)
    }

    #[track_caller]
    pub fn fine(&self) {
        let findings = self.check();
        assert!(findings.is_empty(), "{findings:#?}");
    }

    #[track_caller]
    pub fn broken(&self, promise: &str) {
        let findings = self.check();
        assert!(findings.iter().any(|f| f.promise == promise), "no {promise} among {findings:#?}");
    }
}

pub fn append(n: u32) -> Call {
    Call::Append { login: ME.into(), mailbox: "INBOX".into(), attempt: mail(n), flags: Vec::new() }
}

pub fn submit(n: u32) -> Call {
    Call::Submit { to: vec![ME.into()], attempt: mail(n) }
}

pub fn expunge(uids: &[Uid]) -> Call {
    Call::Expunge { login: ME.into(), mailbox: "INBOX".into(), validity: Some(1), uids: uids.to_vec() }
}

pub fn store(uid: Uid, change: FlagChange, unchanged_since: Option<ModSeq>) -> Call {
    Call::Store {
        login: ME.into(),
        mailbox: "INBOX".into(),
        validity: 1,
        uids: vec![uid],
        change,
        unchanged_since,
    }
}

pub fn stored(uid: Uid, modseq: ModSeq) -> Reply {
    Reply::Stored { modseqs: BTreeMap::from([(uid, modseq)]), modified: Vec::new() }
}

pub fn add(flag: &str) -> FlagChange {
    FlagChange::Add(vec![flag.into()])
}

pub fn remove(flag: &str) -> FlagChange {
    FlagChange::Remove(vec![flag.into()])
}

pub fn move_to_work(uids: &[Uid]) -> Call {
    Call::Move { login: ME.into(), from: "INBOX".into(), validity: 1, uids: uids.to_vec(), to: "Work".into() }
}

pub fn copy_to_work(uids: &[Uid]) -> Call {
    Call::Copy { login: ME.into(), from: "INBOX".into(), validity: 1, uids: uids.to_vec(), to: "Work".into() }
}
