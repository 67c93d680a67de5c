//! SORT and THREAD (RFC 5256, RFC 5957, RFC 5267).

use super::contexts::{Asked, Known};
use super::progress::Progress;
use super::search::{Found, Search, Until};
use super::{Fail, Outcome, Session};
use crate::imap::encode::{Code, Esearch, Numbers, Status, Untagged};
use crate::imap::search::{Context, Prepared};
use crate::imap::sort::{Sortable, needs_details};
use crate::imap::thread::{Threadable, thread};
use crate::imap::types::{By, SearchReturns, SortCommand, Tag, ThreadCommand};
use crate::imap::view::View;
use crate::imap::wire::Wire;
use gadwall_storage::{Uid, UidSet};

/// What is sorted stands in memory, in so many bytes at most.
const ROOM: usize = 64 << 20;

impl Session {
    pub(super) async fn sort(&mut self, tag: &Tag, command: SortCommand, wire: &mut Wire) -> Outcome {
        let services = self.services.clone();
        let SortCommand { by, returns, criteria, charset, key: wanted_key, update_items } = command;
        let wanted = returns.unwrap_or_default();
        let comparator = self.comparator;
        if wanted.update {
            self.can_follow(tag)?;
        }
        let selected = self.selected()?;
        if wanted.save {
            // RFC 5182 §2.1.
            selected.view.save(Default::default());
        }
        let context =
            Context { view: &selected.view, now: services.env.clock.now(), comparator, follows: false };
        let key = Prepared::new(&wanted_key, Some(&charset), &context).map_err(bad_charset)?;
        let sorting = services.env.sorting().await;
        let details = needs_details(&criteria);
        let (mut found, mut sortable, mut room) = (Found::default(), Vec::new(), Room::default());
        let (at, until) = (selected.at, Until::Last);
        let search = Search { services: &services, at, key: &key, context: &context, details, until };
        let mut progress = Progress::new(tag, services.limits.imap_progress, wire);
        let scanned = search.run(&mut progress, |message, relevancy| {
            let item = Sortable::new(message, relevancy, &criteria, comparator);
            room.take(item.bytes())?;
            found.add(message.uid, message.modseq, relevancy);
            sortable.push(item);
            Ok(())
        });
        scanned.await?;
        let (items, criteria) = services
            .env
            .heavy(move || {
                sortable.sort_unstable_by(|a, b| a.compare(b, &criteria));
                (sortable, criteria)
            })
            .await?;
        let (sorted, relevancies): (Vec<Uid>, Vec<u8>) =
            items.iter().map(|item| (item.uid, item.relevancy)).unzip();
        // What is not followed is not kept while the answer is made.
        let known = wanted.update.then_some(Known::Sorted(criteria, items));
        drop(sorting);
        let numbers = called(&sorted, by, &selected.view);
        if wanted.save {
            selected.view.save(saved(&sorted, wanted).unwrap_or_else(|| found.uids().clone()));
        }
        // RFC 7162 §3.1.9, §3.1.10.
        let modseq = key.names_modseq().then(|| found.modseq(SearchReturns::ALL));
        match returns {
            None => wire.untagged(&Untagged::Sort { numbers: &numbers, modseq }),
            Some(wanted) if wanted.tells_nothing() => {}
            Some(wanted) => {
                let (found, mailbox, relevancies) = (Numbers::Sorted(&numbers), None, &relevancies[..]);
                let result = Esearch { tag, mailbox, by, wanted, found, modseq, relevancies };
                wire.untagged(&Untagged::Esearch(&result));
            }
        }
        if modseq.is_some() {
            self.knows_modseqs(wire);
        }
        if let Some(known) = known {
            let followed = Asked { tag, by, items: &update_items };
            self.follow(followed, &wanted_key, Some(&charset), known, wire);
        }
        Ok(Status::ok("Sorted"))
    }

    pub(super) async fn thread(&mut self, tag: &Tag, command: ThreadCommand, wire: &mut Wire) -> Outcome {
        let services = self.services.clone();
        let ThreadCommand { by, algorithm, charset, key } = command;
        let comparator = self.comparator;
        let selected = self.selected()?;
        let context =
            Context { view: &selected.view, now: services.env.clock.now(), comparator, follows: false };
        let key = Prepared::new(&key, Some(&charset), &context).map_err(bad_charset)?;
        let sorting = services.env.sorting().await;
        let (mut messages, mut room) = (Vec::new(), Room::default());
        let (at, until) = (selected.at, Until::Last);
        let search = Search { services: &services, at, key: &key, context: &context, details: true, until };
        let mut progress = Progress::new(tag, services.limits.imap_progress, wire);
        let scanned = search.run(&mut progress, |message, _| {
            let item = Threadable::new(message, algorithm, comparator);
            room.take(item.bytes())?;
            messages.push(item);
            Ok(())
        });
        scanned.await?;
        let threads = services.env.heavy(move || thread(&messages, algorithm)).await?;
        drop(sorting);
        let view = &selected.view;
        let number = |uid: Uid| match by {
            By::Uid => Some(uid.get()),
            By::Sequence => view.number(uid),
        };
        wire.untagged(&Untagged::Thread { threads: &threads, number: &number });
        let names_modseq = key.names_modseq();
        if names_modseq {
            self.knows_modseqs(wire);
        }
        Ok(Status::ok("Threaded"))
    }
}

/// What is saved of a sorted result (RFC 5182 §2.4); `None`: all of it.
fn saved(sorted: &[Uid], wanted: SearchReturns) -> Option<UidSet> {
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    if wanted.is_whole() {
        return None;
    }
    let places = wanted.partial.map_or(0..0, |range| range.of(sorted.len()));
    let ends = [Some(first).filter(|_| wanted.min), Some(last).filter(|_| wanted.max)];
    Some(sorted[places].iter().copied().chain(ends.into_iter().flatten()).collect())
}

/// UIDs as the command wants them: UIDs, or message numbers.
fn called(uids: &[Uid], by: By, view: &View) -> Vec<u32> {
    match by {
        By::Uid => uids.iter().map(|uid| uid.get()).collect(),
        By::Sequence => uids.iter().filter_map(|uid| view.number(*uid)).collect(),
    }
}

pub(super) fn bad_charset(charset: String) -> Fail {
    Status::no(format!("The charset {charset} is not known")).code(Code::BadCharset).into()
}

/// How much of it is taken.
#[derive(Debug, Default)]
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), Fail> {
        self.0 += bytes;
        if self.0 <= ROOM {
            return Ok(());
        }
        let status = Status::no("That is too much to be sorted at once: search for fewer messages");
        Err(status.code(Code::Limit).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_be_sorted_is_refused() {
        let mut room = Room::default();
        assert!(room.take(ROOM).is_ok());
        let Err(Fail::Status(status)) = room.take(1) else { panic!("there is no room left") };
        assert_eq!(status.code, Some(Code::Limit));
    }
}
