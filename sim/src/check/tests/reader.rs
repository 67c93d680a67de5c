//! A session that keeps a mailbox selected: it lists, idles, polls, is cut off and resynchronises.

use super::mail::Mailbox;
use super::model::Model;
use crate::history::*;
use std::collections::BTreeSet;

/// What a session knows of its mailbox.
struct Knows {
    validity: UidValidity,
    modseq: ModSeq,
    uids: BTreeSet<Uid>,
}

pub struct Reader {
    client: ClientId,
    session: u32,
    login: Login,
    mailbox: Name,
    knows: Option<Knows>,
    selected: bool,
    /// A notice on its way.
    coming: Option<Sight>,
}

impl Reader {
    pub fn new(client: ClientId, login: &str, mailbox: &str) -> Self {
        let (login, mailbox) = (login.into(), mailbox.into());
        Self { client, session: 0, login, mailbox, knows: None, selected: false, coming: None }
    }

    fn record(&self, model: &mut Model, what: What) {
        model.record(self.client, self.session, what);
    }

    pub fn step(&mut self, model: &mut Model) {
        if let Some(notice) = self.coming.take() {
            self.record(model, What::Saw(notice));
        } else if !self.selected {
            self.select(model);
        } else if model.chance.percent(10) {
            self.selected = false;
            self.record(model, What::Lost { why: "reset".into() });
        } else if model.chance.percent(20) {
            self.poll(model);
        } else {
            // Written down only later, when it may be old already.
            self.coming = self.news(model);
        }
    }

    /// Hears all there is, and goes on listening.
    pub fn finish(&mut self, model: &mut Model) {
        if let Some(notice) = self.coming.take() {
            self.record(model, What::Saw(notice));
        }
        if !self.selected {
            self.select(model);
        }
        if let Some(news) = self.news(model) {
            self.record(model, What::Saw(news));
        }
    }

    fn current<'a>(&self, model: &'a Model) -> Option<&'a Mailbox> {
        match &self.knows {
            Some(knows) if self.selected => model.mail.find(&self.login, knows.validity),
            _ => model.mail.boxes.get(&(self.login.clone(), self.mailbox.clone())),
        }
    }

    fn select(&mut self, model: &mut Model) {
        let Some(now) = self.current(model).cloned() else { return };
        self.session += 1;
        self.record(model, What::Connected { node: "node3".into() });
        self.record(model, What::Asked);
        let (login, mailbox, validity) = (self.login.clone(), self.mailbox.clone(), now.validity);
        let exists = now.messages.len() as u32;
        let (uid_next, highest_modseq) = (now.uid_next, now.modseq);
        let (l, m) = (login.clone(), mailbox.clone());
        let selected = Sight::Selected { login: l, mailbox: m, validity, uid_next, highest_modseq, exists };
        self.record(model, What::Saw(selected));
        let sight = match &self.knows {
            Some(knows) if knows.validity == validity => {
                let since = knows.modseq;
                let changed = now.all().into_iter().filter(|m| m.modseq.is_some_and(|m| m > since)).collect();
                let gone = knows.uids.iter().filter(|uid| !now.messages.contains_key(uid)).copied().collect();
                Sight::Changed { login, mailbox, validity, since, upto: now.modseq, changed, gone }
            }
            _ => Sight::Listed { login, mailbox, validity, since: model.now, messages: now.all() },
        };
        self.record(model, What::Saw(sight));
        self.record(model, What::Idling);
        self.knows =
            Some(Knows { validity, modseq: now.modseq, uids: now.messages.keys().copied().collect() });
        self.selected = true;
    }

    fn poll(&mut self, model: &mut Model) {
        self.record(model, What::Asked);
        if let Some(news) = self.news(model) {
            self.record(model, What::Saw(news));
        }
        self.record(model, What::Polled);
        self.record(model, What::Idling);
    }

    /// What the session has not been told of.
    fn news(&mut self, model: &Model) -> Option<Sight> {
        let now = self.current(model)?;
        let knows = self.knows.as_mut()?;
        if now.modseq == knows.modseq {
            return None;
        }
        let is_new = |m: &Shown| !knows.uids.contains(&m.uid);
        let (new, old): (Vec<Shown>, Vec<Shown>) = now.all().into_iter().partition(is_new);
        let changed = old.into_iter().filter(|m| m.modseq.is_some_and(|m| m > knows.modseq)).collect();
        let gone = knows.uids.iter().filter(|uid| !now.messages.contains_key(uid)).copied().collect();
        (knows.modseq, knows.uids) = (now.modseq, now.messages.keys().copied().collect());
        let (login, mailbox, validity) = (self.login.clone(), self.mailbox.clone(), now.validity);
        Some(Sight::Noticed { login, mailbox, validity, new, changed, gone })
    }
}
