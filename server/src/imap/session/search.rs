//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182).

use super::{Outcome, Session};
use crate::imap::encode::{Code, Esearch, Status, Untagged};
use crate::imap::search::{Context, Needs, Prepared};
use crate::imap::types::{By, SearchCommand, SearchReturns, Tag};
use crate::imap::wire::Wire;
use gadwall_storage::{MessageQuery, ModSeq, Uid, UidSet};
use std::borrow::Cow;

/// Messages looked at between two looks at the rest of the world.
const PAGE: usize = 200;

impl Session {
    pub(super) async fn search(&mut self, tag: &Tag, command: &SearchCommand, wire: &mut Wire) -> Outcome {
        let services = self.services.clone();
        let selected = self.selected()?;
        let at = selected.at;
        let now = services.env.clock.now();
        let context = Context { view: &selected.view, now };
        let prepared = Prepared::new(&command.key, command.charset.as_deref(), &context);
        let wanted = command.returns.unwrap_or_default();
        if wanted.save {
            // RFC 5182 §2.1: so it stays if this comes to a NO.
            selected.view.save(UidSet::new());
        }
        let key = match prepared {
            Ok(key) => key,
            Err(charset) => {
                let status = Status::no(format!("The charset {charset} is not known"));
                return Err(status.code(Code::BadCharset).into());
            }
        };
        let context = Context { view: &selected.view, now };
        let mut found = Found::default();
        let mut left = key.candidates(&selected.view.uids());
        while !left.is_empty() {
            let page: UidSet = left.iter().take(PAGE).collect();
            left = left.difference(&page);
            let mut query = MessageQuery::of(page);
            if key.needs() >= Needs::Details {
                query = query.with_details();
            }
            for message in services.store.messages(at, query).await? {
                if selected.view.number(message.uid).is_some()
                    && key.matches(&message, &*services.store, at, &context).await?
                {
                    found.add(message.uid, message.modseq);
                }
            }
            // The first that matches is enough where nothing else is wanted.
            if !wanted.is_whole() && !wanted.max && !found.uids.is_empty() {
                break;
            }
        }
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
        match command.returns {
            None => wire.untagged(&Untagged::Search { numbers: &numbers, modseq }),
            // RFC 5182 §2.4: where nothing is to be told, there is no response.
            Some(SearchReturns { min: false, max: false, all: false, count: false, save: _ }) => {}
            Some(wanted) => {
                let result = Esearch { tag, by: command.by, wanted, found: &numbers, modseq };
                wire.untagged(&Untagged::Esearch(&result));
            }
        }
        if modseq.is_some() {
            self.knows_modseqs(wire);
        }
        Ok(Status::ok("Searched"))
    }
}

/// What was found, in ascending order.
#[derive(Debug, Default)]
struct Found {
    uids: UidSet,
    /// Mod-sequences of the first, of the last and of the one that changed last.
    first: u64,
    last: u64,
    highest: u64,
}

impl Found {
    fn add(&mut self, uid: Uid, modseq: ModSeq) {
        if self.uids.is_empty() {
            self.first = modseq.get();
        }
        self.last = modseq.get();
        self.highest = self.highest.max(modseq.get());
        self.uids.insert(uid);
    }

    /// RFC 4731 §3.2: of the messages that are told of, unless the result as a whole is.
    fn modseq(&self, wanted: SearchReturns) -> u64 {
        let min = if wanted.min { self.first } else { 0 };
        let max = if wanted.max { self.last } else { 0 };
        if wanted.is_whole() { self.highest } else { min.max(max) }
    }

    /// RFC 5182 §2.4: the messages that are told of, unless the result as a whole is.
    fn saved(&self, wanted: SearchReturns) -> UidSet {
        if wanted.is_whole() {
            return self.uids.clone();
        }
        let min = self.uids.first().filter(|_| wanted.min);
        let max = self.uids.last().filter(|_| wanted.max);
        min.into_iter().chain(max).collect()
    }
}
