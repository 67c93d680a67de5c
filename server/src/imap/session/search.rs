//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182).

use super::contexts::{Asked, Known};
use super::progress::Progress;
use super::sort::bad_charset;
use super::{Fail, Outcome, Session};
use crate::Services;
use crate::imap::encode::{Esearch, Numbers, Status, Untagged};
use crate::imap::search::{Context, Needs, Prepared};
use crate::imap::types::{By, SearchCommand, SearchReturns, Tag};
use crate::imap::wire::Wire;
use gadwall_storage::{MailboxRef, Message, MessageQuery, ModSeq, Uid, UidSet};
use std::borrow::Cow;

/// Messages looked at between two looks at the rest of the world.
const PAGE: usize = 200;

impl Session {
    pub(super) async fn search(&mut self, tag: &Tag, command: &SearchCommand, wire: &mut Wire) -> Outcome {
        let services = self.services.clone();
        let (rev2, comparator) = (self.rev2, self.comparator);
        if command.returns.is_some_and(|returns| returns.update) {
            self.can_follow(tag)?;
        }
        let selected = self.selected()?;
        let at = selected.at;
        let now = services.env.clock.now();
        let context = Context { view: &selected.view, now, comparator, follows: false };
        let prepared = Prepared::new(&command.key, command.charset.as_deref(), &context);
        // RFC 9051 §6.4.4: there is no SEARCH response.
        let returns = command.returns.or(rev2.then_some(SearchReturns::ALL));
        let wanted = returns.unwrap_or_default();
        if wanted.save {
            // RFC 5182 §2.1: so it stays if this comes to a NO.
            selected.view.save(UidSet::new());
        }
        let key = match prepared {
            Ok(key) => key,
            Err(charset) => return Err(bad_charset(charset)),
        };
        let context = Context { view: &selected.view, now, comparator, follows: false };
        let mut found = Found::default();
        // The first that matches is enough where nothing else is wanted.
        let until = if wanted.is_first() { Until::First } else { Until::Last };
        let search = Search { services: &services, at, key: &key, context: &context, details: false, until };
        let mut progress = Progress::new(tag, services.limits.imap_progress, wire);
        search
            .run(&mut progress, |message, relevancy| {
                found.add(message.uid, message.modseq, relevancy);
                Ok(())
            })
            .await?;
        let numbers = match command.by {
            By::Uid => Cow::Borrowed(&found.uids),
            By::Sequence => {
                let numbers = found.uids.iter().filter_map(|uid| selected.view.number(uid));
                Cow::Owned(numbers.filter_map(Uid::new).collect())
            }
        };
        if wanted.save {
            selected.view.save(found.saved(wanted));
        }
        let modseq = key.names_modseq().then(|| found.modseq(wanted));
        match returns {
            None => wire.untagged(&Untagged::Search { numbers: &numbers, modseq }),
            // RFC 5182 §2.4: where nothing is to be told, there is no response.
            Some(wanted) if wanted.tells_nothing() => {}
            Some(wanted) => {
                let (numbers, relevancies) = (Numbers::Set(&numbers), found.relevancies());
                let (by, mailbox) = (command.by, None);
                let result = Esearch { tag, mailbox, by, wanted, found: numbers, modseq, relevancies };
                wire.untagged(&Untagged::Esearch(&result));
            }
        }
        if modseq.is_some() {
            self.knows_modseqs(wire);
        }
        if wanted.update {
            let (charset, known) = (command.charset.as_deref(), Known::Found(found.uids));
            let followed = Asked { tag, by: command.by, items: &command.update_items };
            self.follow(followed, &command.key, charset, known, wire);
        }
        Ok(Status::ok("Searched"))
    }
}

/// How far a mailbox is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// About as far as the first message that matches.
    First,
    Last,
}

/// A search of one mailbox.
pub(super) struct Search<'a> {
    pub services: &'a Services,
    pub at: MailboxRef,
    pub key: &'a Prepared,
    pub context: &'a Context<'a>,
    /// Whether what was extracted at delivery is wanted of what is found.
    pub details: bool,
    pub until: Until,
}

impl Search<'_> {
    /// Hands on every message that matches, in ascending order, and how well it does.
    pub async fn run(
        &self,
        progress: &mut Progress<'_>,
        mut take: impl FnMut(&Message, u8) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        let Search { services, at, key, context, details, until } = *self;
        let mut left = key.candidates(&context.view.uids());
        progress.expect(left.len());
        let mut has_found = false;
        while !left.is_empty() {
            let page: UidSet = left.iter().take(PAGE).collect();
            left = left.difference(&page);
            let mut query = MessageQuery::of(page);
            if details || key.needs() >= Needs::Details {
                query = query.with_details();
            }
            for message in services.store.messages(at, query).await? {
                if context.view.number(message.uid).is_some()
                    && let Some(relevancy) = key.relevancy(&message, &*services.store, at, context).await?
                {
                    has_found = true;
                    take(&message, relevancy)?;
                }
                progress.step().await?;
            }
            if has_found && until == Until::First {
                break;
            }
        }
        Ok(())
    }
}

/// What was found, in ascending order.
#[derive(Debug, Default)]
pub(super) struct Found {
    uids: UidSet,
    /// Mod-sequences of the first, of the last and of the one that changed last.
    first: u64,
    last: u64,
    highest: u64,
    /// How well each one matches.
    relevancies: Vec<u8>,
}

impl Found {
    pub fn relevancies(&self) -> &[u8] {
        &self.relevancies
    }

    pub fn uids(&self) -> &UidSet {
        &self.uids
    }

    pub fn add(&mut self, uid: Uid, modseq: ModSeq, relevancy: u8) {
        self.relevancies.push(relevancy);
        if self.uids.is_empty() {
            self.first = modseq.get();
        }
        self.last = modseq.get();
        self.highest = self.highest.max(modseq.get());
        self.uids.insert(uid);
    }

    /// RFC 4731 §3.2: of the messages that are told of, unless the result as a whole is.
    pub fn modseq(&self, wanted: SearchReturns) -> u64 {
        if wanted.partial.is_some() {
            return self.highest;
        }
        let min = if wanted.min { self.first } else { 0 };
        let max = if wanted.max { self.last } else { 0 };
        if wanted.is_whole() { self.highest } else { min.max(max) }
    }

    /// RFC 5182 §2.4: the messages that are told of, unless the result as a whole is.
    pub fn saved(&self, wanted: SearchReturns) -> UidSet {
        if wanted.is_whole() {
            return self.uids.clone();
        }
        let min = self.uids.first().filter(|_| wanted.min);
        let max = self.uids.last().filter(|_| wanted.max);
        // RFC 9394 §3.2.
        let places = wanted.partial.map_or(0..0, |range| range.of(self.uids.len() as usize));
        let some = self.uids.iter().skip(places.start).take(places.len());
        some.chain(min).chain(max).collect()
    }
}
