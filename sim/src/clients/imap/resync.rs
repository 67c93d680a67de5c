//! Clients that keep a copy of a mailbox and bring it up to date when they come back: by CHANGEDSINCE (CONDSTORE), or
//! by what SELECT itself tells (QRESYNC; RFC 7162).

use super::listing::{Depth, Listing};
use super::session::{Messages, Selected, Session, set};
use super::view::News;
use crate::clients::{Client, Fault};
use crate::history::*;
use rand::RngExt;
use std::collections::BTreeSet;
use std::time::Duration;

/// How a client brings its copy up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    Condstore,
    /// Where the server offers it; else as [`Means::Condstore`].
    Qresync,
}

/// A copy of a mailbox.
#[derive(Debug, Clone, Default)]
struct Kept {
    validity: UidValidity,
    modseq: ModSeq,
    messages: Messages,
}

pub struct Resynchroniser {
    pub client: Client,
    pub login: Login,
    pub mailbox: Name,
    pub means: Means,
    /// Longest pause between two sessions.
    pub pace: Duration,
    kept: Kept,
}

impl Resynchroniser {
    pub fn new(client: Client, login: &str, means: Means, pace: Duration) -> Self {
        let (login, mailbox, kept) = (login.to_owned(), "INBOX".to_owned(), Kept::default());
        Self { client, login, mailbox, means, pace, kept }
    }

    pub async fn run(mut self) {
        while self.client.think(self.pace).await {
            let ended = self.session().await;
            self.client.ended(ended);
        }
    }

    async fn session(&mut self) -> Result<(), Fault> {
        let mut session = Session::open(&mut self.client, &self.login).await?;
        let quick = self.means == Means::Qresync && session.can("QRESYNC");
        session.enable(&mut self.client, if quick { "QRESYNC" } else { "CONDSTORE" }).await?;
        let known = (quick && self.kept.validity > 0).then_some(&self.kept);
        let params = known.map_or("(CONDSTORE)".into(), |kept| {
            // RFC 7162 §3.2.5.1: of others than the known ones nothing is told, so those to come are named as well; or
            // none are, and then all are meant.
            let uids: Vec<Uid> = kept.messages.keys().copied().collect();
            let uids = match uids.last().filter(|_| uids.len() % 2 == 1) {
                Some(last) => format!(" {},{}:{}", set(&uids), last + 1, u32::MAX),
                None => String::new(),
            };
            format!("(QRESYNC ({} {}{uids}))", kept.validity, kept.modseq)
        });
        let selected = session.select(&mut self.client, &self.mailbox, &params).await?;
        match (selected.place.validity == self.kept.validity, quick) {
            (true, true) => self.take_over(&mut session, &selected),
            (true, false) => self.catch_up(&mut session, &selected).await?,
            (false, _) => self.begin(&mut session, &selected).await?,
        }
        let client = &mut self.client;
        if client.rng.random_bool(0.3) {
            self.compare(&mut session, &selected).await?;
        }
        self.stay(&mut session).await?;
        if self.client.rng.random_bool(0.5) {
            session.logout(&mut self.client).await;
        }
        Ok(())
    }

    /// A mailbox that is new to the client.
    async fn begin(&mut self, session: &mut Session, selected: &Selected) -> Result<(), Fault> {
        let Listing { messages, still } = session.fetch_all(&mut self.client, selected, Depth::Token).await?;
        if !still {
            // What went since SELECT would be missing from the copy, and nobody would tell of it.
            return session.take_news(&mut self.client).await.map(|_| ());
        }
        self.kept = Kept { validity: selected.place.validity, modseq: selected.highest_modseq, messages };
        let news = session.take_news(&mut self.client).await?;
        self.learn(&news);
        Ok(())
    }

    /// What has changed, by CHANGEDSINCE; what is gone, by what is there.
    async fn catch_up(&mut self, session: &mut Session, selected: &Selected) -> Result<(), Fault> {
        let changed = session.changed_since(&mut self.client, self.kept.modseq).await?;
        let there: BTreeSet<Uid> = session.search_all(&mut self.client).await?.into_iter().collect();
        if !session.news.gone.is_empty() || session.news.gone_unknown > 0 {
            // Some went after SELECT, and which of the missing ones these are can't be told: next time.
            session.take_news(&mut self.client).await?;
            return Ok(());
        }
        let gone: Vec<Uid> = self.kept.messages.keys().copied().filter(|uid| !there.contains(uid)).collect();
        let changed: Vec<Shown> = changed.into_values().collect();
        self.resynchronised(selected, changed, gone);
        self.assume(session);
        let news = session.take_news(&mut self.client).await?;
        self.learn(&news);
        Ok(())
    }

    /// What QRESYNC told along with SELECT.
    fn take_over(&mut self, session: &mut Session, selected: &Selected) {
        self.resynchronised(selected, selected.changed.clone(), selected.vanished.clone());
        self.assume(session);
    }

    fn assume(&mut self, session: &mut Session) {
        let uids: Vec<Uid> = self.kept.messages.keys().copied().collect();
        if let Err(rule) = session.view.assume(&uids, &session.news) {
            self.client.violated(rule);
        }
    }

    fn resynchronised(&mut self, selected: &Selected, changed: Vec<Shown>, gone: Vec<Uid>) {
        let since = self.kept.modseq;
        for shown in &changed {
            self.keep(shown);
        }
        for uid in &gone {
            self.kept.messages.remove(uid);
        }
        if selected.highest_modseq < since {
            let now = selected.highest_modseq;
            self.client.violated(format!("HIGHESTMODSEQ went from {since} back to {now}"));
        }
        self.kept.modseq = self.kept.modseq.max(selected.highest_modseq);
        let place = selected.place.clone();
        self.client.saw(Sight::Changed {
            login: place.login,
            mailbox: place.mailbox,
            validity: place.validity,
            since,
            upto: selected.highest_modseq,
            changed,
            gone,
        });
    }

    /// Holds the copy against what is there.
    async fn compare(&mut self, session: &mut Session, selected: &Selected) -> Result<(), Fault> {
        // SELECT again: a listing is a picture of one moment only just after it.
        let again = session.select(&mut self.client, &self.mailbox, "").await?;
        let listing = session.fetch_all(&mut self.client, &again, Depth::Token).await?;
        let same =
            again.place.validity == selected.place.validity && again.highest_modseq == self.kept.modseq;
        if same && listing.still {
            // Flags that were changed since SELECT are shown, and are newer than the copy.
            let later =
                |uid: &Uid| listing.messages.get(uid).is_some_and(|s| s.modseq > Some(self.kept.modseq));
            let flags = |m: &Messages| -> Vec<_> {
                m.values().map(|s| (s.uid, s.flags.clone().filter(|_| !later(&s.uid)))).collect()
            };
            let (copy, there) = (flags(&self.kept.messages), flags(&listing.messages));
            if copy != there {
                let differ = |(a, b): &(&(Uid, _), &(Uid, _))| a != b;
                let first = copy.iter().zip(&there).find(differ);
                self.client.violated(format!(
                    "at modseq {} the copy has {} messages and the mailbox {}; first difference {first:?}",
                    self.kept.modseq,
                    copy.len(),
                    there.len()
                ));
            }
        }
        for shown in listing.messages.values() {
            self.keep(shown);
        }
        let news = session.take_news(&mut self.client).await?;
        self.learn(&news);
        Ok(())
    }

    /// Stays for a while, and hears of changes.
    async fn stay(&mut self, session: &mut Session) -> Result<(), Fault> {
        while self.client.rng.random_bool(0.6) && self.client.think(self.pace).await {
            let news = session.noop(&mut self.client).await?;
            self.learn(&news);
            if session.news.closed {
                break;
            }
        }
        Ok(())
    }

    /// Takes in what is new. What is gone stays in the copy: the copy's modseq is that of SELECT, so the next
    /// resynchronisation has to tell of it again.
    fn learn(&mut self, news: &News) {
        for shown in &news.changed {
            self.keep(shown);
        }
    }

    fn keep(&mut self, shown: &Shown) {
        let message = self.kept.messages.entry(shown.uid).or_insert_with(|| shown.clone());
        // RFC 7162 §3.2.5: of two tales of a message the one with the higher modseq holds.
        if shown.modseq >= message.modseq {
            message.flags = shown.flags.clone().or(message.flags.take());
            message.modseq = shown.modseq.or(message.modseq);
        }
        message.attempt = message.attempt.or(shown.attempt);
    }
}
