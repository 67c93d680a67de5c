//! The writer: appends, flags, copies, moves, expunges, and makes, renames and deletes mailboxes. It removes nothing
//! but messages of its own, so that what is missing in the end has a culprit.

use super::listing::Depth;
use super::ops::Change;
use super::session::Session;
use crate::clients::{Client, Fault};
use crate::history::*;
use rand::RngExt;
use rand::seq::IndexedRandom;
use std::time::Duration;

/// A message of the writer's.
#[derive(Debug, Clone, PartialEq)]
struct Own {
    mailbox: Name,
    validity: UidValidity,
    uid: Uid,
}

pub struct Writer {
    pub client: Client,
    pub login: Login,
    /// Longest pause between two operations.
    pub pace: Duration,
    own: Vec<Own>,
    /// Mailboxes it made, as far as it knows.
    made: Vec<Name>,
    /// Of the mailbox that it selected last, when it did.
    highest_modseq: ModSeq,
}

impl Writer {
    pub fn new(client: Client, login: &str, pace: Duration) -> Self {
        Self { client, login: login.to_owned(), pace, own: Vec::new(), made: Vec::new(), highest_modseq: 1 }
    }

    pub async fn run(mut self) {
        while self.client.think(self.pace).await {
            let ended = self.session().await;
            self.client.ended(ended);
        }
    }

    async fn session(&mut self) -> Result<(), Fault> {
        let mut session = Session::open(&mut self.client, &self.login).await?;
        session.enable(&mut self.client, "CONDSTORE").await?;
        for _ in 0..self.client.rng.random_range(2..12) {
            if !self.client.think(self.pace / 4).await {
                break;
            }
            match self.operation(&mut session).await {
                // What was refused has not happened; the writer goes on.
                Ok(()) | Err(Fault::Refused(_)) => {}
                Err(lost) => return Err(lost),
            }
            if session.place.is_some() {
                session.take_news(&mut self.client).await?;
            }
        }
        session.logout(&mut self.client).await;
        Ok(())
    }

    async fn operation(&mut self, session: &mut Session) -> Result<(), Fault> {
        let drawn = self.client.rng.random_range(0..20);
        match drawn {
            5..9 => self.store(session).await,
            9..17 if self.own.is_empty() => self.append(session).await,
            9..11 => self.copy(session).await,
            11..15 => self.move_one(session).await,
            15..17 => self.expunge(session).await,
            17.. => self.mailbox(session).await,
            _ => self.append(session).await,
        }
    }

    /// One that has own messages, if any has.
    fn own_mailbox(&mut self) -> Name {
        let names: Vec<&Name> = self.own.iter().map(|own| &own.mailbox).collect();
        match names.choose(&mut self.client.rng) {
            Some(name) => (*name).clone(),
            None => self.some_mailbox(),
        }
    }

    fn some_mailbox(&mut self) -> Name {
        let mut names: Vec<Name> = ["INBOX", "INBOX", "Archive"].map(String::from).to_vec();
        names.extend(self.made.iter().cloned());
        names.choose(&mut self.client.rng).expect("there is INBOX").clone()
    }

    async fn append(&mut self, session: &mut Session) -> Result<(), Fault> {
        let mailbox = self.some_mailbox();
        let attempt = Attempt { mail: self.client.new_mail(), attempt: 1 };
        let flags = match self.client.rng.random_range(0..3) {
            0 => vec![],
            1 => vec!["\\Seen".into()],
            _ => vec!["\\Flagged".into(), "$sim".into()],
        };
        session.append(&mut self.client, &mailbox, attempt, flags).await?;
        // Which UIDVALIDITY it has will be known when the mailbox is selected.
        self.select(session, &mailbox).await
    }

    /// Selects a mailbox and finds its own messages there.
    async fn select(&mut self, session: &mut Session, mailbox: &str) -> Result<(), Fault> {
        if session.place.as_ref().is_some_and(|place| place.mailbox == mailbox) && !session.news.closed {
            session.noop(&mut self.client).await?;
            if session.place.is_some() && self.client.rng.random_bool(0.7) {
                return Ok(());
            }
        }
        let selected = session.select(&mut self.client, mailbox, "").await?;
        let listing = session.fetch_all(&mut self.client, &selected, Depth::Token).await?;
        self.highest_modseq = selected.highest_modseq;
        self.own.retain(|own| own.mailbox != mailbox);
        let id = self.client.id;
        // Copies of an own message are own messages as well.
        let is_own = |shown: &&Shown| shown.attempt.is_some_and(|a| a.mail / 100_000 == id);
        self.own.extend(listing.messages.values().filter(is_own).map(|shown| Own {
            mailbox: mailbox.to_owned(),
            validity: selected.place.validity,
            uid: shown.uid,
        }));
        Ok(())
    }

    /// Own messages in the selected mailbox.
    fn own_here(&self, session: &Session) -> Vec<Uid> {
        let Some(place) = &session.place else { return Vec::new() };
        let there = session.view.uids();
        let here = |own: &&Own| own.mailbox == place.mailbox && own.validity == place.validity;
        self.own.iter().filter(here).map(|own| own.uid).filter(|uid| there.contains(uid)).collect()
    }

    fn draw(&mut self, mut uids: Vec<Uid>, most: usize) -> Vec<Uid> {
        let count = self.client.rng.random_range(1..=most);
        while uids.len() > count {
            uids.remove(self.client.rng.random_range(0..uids.len()));
        }
        uids
    }

    async fn store(&mut self, session: &mut Session) -> Result<(), Fault> {
        let mailbox = self.some_mailbox();
        self.select(session, &mailbox).await?;
        // Flags are everybody's: several writers may meet at one message, most likely at one of the last.
        let mut uids = session.view.uids();
        if self.client.rng.random() {
            uids.drain(..uids.len().saturating_sub(2));
        }
        let uids = self.draw(uids, 4);
        if uids.is_empty() {
            return Ok(());
        }
        let flag = ["\\Seen", "\\Flagged", "\\Answered", "$sim", "$other"].choose(&mut self.client.rng);
        let flags = vec![(*flag.expect("there are five")).to_owned()];
        let change = Change {
            flags: match self.client.rng.random_range(0..5) {
                0..3 => FlagChange::Add(flags),
                3 => FlagChange::Remove(flags),
                _ => FlagChange::Replace(flags),
            },
            unchanged_since: match self.client.rng.random_range(0..10) {
                0 => Some(self.client.rng.random_range(1..60)),
                1..5 => Some(self.highest_modseq),
                _ => None,
            },
        };
        session.store(&mut self.client, &uids, change).await.map(|_| ())
    }

    async fn copy(&mut self, session: &mut Session) -> Result<(), Fault> {
        let from = self.own_mailbox();
        self.select(session, &from).await?;
        let own = self.own_here(session);
        let (uids, to) = (self.draw(own, 3), self.some_mailbox());
        if uids.is_empty() {
            return Ok(());
        }
        session.copy(&mut self.client, &uids, &to).await.map(|_| ())
    }

    async fn move_one(&mut self, session: &mut Session) -> Result<(), Fault> {
        let from = self.own_mailbox();
        self.select(session, &from).await?;
        let own = self.own_here(session);
        let (uids, to) = (self.draw(own, 3), self.some_mailbox());
        if uids.is_empty() || to == from {
            return Ok(());
        }
        // Whatever comes of it: here they are not to be counted on any more.
        self.own.retain(|own| own.mailbox != from || !uids.contains(&own.uid));
        session.move_to(&mut self.client, &uids, &to).await.map(|_| ())
    }

    async fn expunge(&mut self, session: &mut Session) -> Result<(), Fault> {
        let mailbox = self.own_mailbox();
        self.select(session, &mailbox).await?;
        let own = self.own_here(session);
        let uids = self.draw(own, 3);
        if uids.is_empty() {
            return Ok(());
        }
        session.store(&mut self.client, &uids, Change::add("\\Deleted")).await?;
        session.take_news(&mut self.client).await?;
        self.own.retain(|own| own.mailbox != mailbox || !uids.contains(&own.uid));
        session.expunge(&mut self.client, &uids).await.map(|_| ())
    }

    /// Makes, renames or deletes a mailbox. Names come again, so that UIDVALIDITY has to change.
    async fn mailbox(&mut self, session: &mut Session) -> Result<(), Fault> {
        let name = format!("w{}-{}", self.client.id, self.client.rng.random_range(0..2));
        if !self.made.contains(&name) {
            session.create(&mut self.client, &name).await?;
            self.made.push(name);
            return Ok(());
        }
        self.made.retain(|made| *made != name);
        if self.client.rng.random() {
            let to = format!("w{}-{}", self.client.id, self.client.rng.random_range(2..4));
            if self.made.contains(&to) {
                self.made.push(name);
                return Ok(());
            }
            session.rename(&mut self.client, &name, &to).await?;
            self.own.retain(|own| own.mailbox != name);
            self.made.push(to);
        } else {
            // One that is selected would be closed under this session.
            if session.place.as_ref().is_some_and(|place| place.mailbox == name) {
                self.select(session, "INBOX").await?;
            }
            session.delete(&mut self.client, &name).await?;
            self.own.retain(|own| own.mailbox != name);
        }
        Ok(())
    }
}
