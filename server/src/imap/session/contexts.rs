//! CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267 §4): searches whose results are kept up to date while their mailbox is selected.

use super::{Fail, Outcome, Session};
use crate::imap::collate::Comparator;
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::search::{Context, Needs, Prepared};
use crate::imap::sort::{Sortable, needs_details};
use crate::imap::types::{By, FetchItem, FetchModifiers, SearchKey, SequenceSet, SortCriterion, Tag};
use crate::imap::view::Update;
use crate::imap::wire::Wire;
use gadwall_storage::{Delta, Message, MessageQuery, StoreError, Timestamp, Uid, UidSet};

/// Searches of a session that are followed.
const MOST: usize = 8;
/// What is sorted and followed takes so much memory at most, in bytes each.
const SORTED_BYTES: usize = 1 << 20;
/// Changed messages looked at between two looks at the rest of the world.
const PAGE: usize = 200;

/// A search whose client wants to hear what becomes of its result.
pub(super) struct Followed {
    tag: Tag,
    by: By,
    key: Prepared,
    /// When it was asked for: ages are as of then.
    now: Timestamp,
    comparator: Comparator,
    /// What is told of messages that come into it (RFC 5465 §7).
    items: Vec<FetchItem>,
    result: Known,
}

/// How a client asked for a search to be followed.
pub(super) struct Asked<'a> {
    pub tag: &'a Tag,
    pub by: By,
    pub items: &'a [FetchItem],
}

/// How well each of some messages matches each of the searches.
type Scores = Vec<Vec<Option<u8>>>;

/// What the client knows to be found.
pub(super) enum Known {
    /// In the order of the mailbox.
    Found(UidSet),
    Sorted(Vec<SortCriterion>, Vec<Sortable>),
}

/// Some of a result: where, and which; 0 is wherever they belong (§4.3.2).
pub type Places = Vec<(u32, UidSet)>;

impl Session {
    /// §4.3: a tag stands for one search.
    pub(super) fn can_follow(&self, tag: &Tag) -> Result<(), Fail> {
        let followed = self.selected.iter().flat_map(|selected| &selected.followed);
        match followed.into_iter().any(|followed| followed.tag == *tag) {
            true => Err(Status::bad("That tag stands for a search that is kept up to date").into()),
            false => Ok(()),
        }
    }

    /// Follows a search from here on, or says that it does not (§4.3.1).
    pub(super) fn follow(
        &mut self,
        asked: Asked<'_>,
        key: &SearchKey,
        charset: Option<&str>,
        result: Known,
        wire: &mut Wire,
    ) {
        let now = self.services.env.clock.now();
        let comparator = self.comparator;
        let Some(selected) = &mut self.selected else { return };
        let context = Context { view: &selected.view, now, comparator, follows: true };
        let bytes = match &result {
            Known::Found(_) => 0,
            Known::Sorted(_, items) => items.iter().map(Sortable::bytes).sum(),
        };
        match Prepared::new(key, charset, &context) {
            Ok(key) if selected.followed.len() < MOST && bytes <= SORTED_BYTES => {
                let (tag, items) = (asked.tag.clone(), asked.items.to_vec());
                selected.followed.push(Followed { tag, by: asked.by, key, now, comparator, items, result });
            }
            _ => {
                let status = Status::no("That is more than can be kept up to date");
                wire.status(None, &status.code(Code::NoUpdate(asked.tag.clone())));
            }
        }
    }

    /// §4.3.5.
    pub(super) fn cancel_update(&mut self, tags: &[Vec<u8>]) -> Outcome {
        let selected = self.selected()?;
        let is = |followed: &Followed, tag: &Vec<u8>| followed.tag.as_str().as_bytes() == tag.as_slice();
        if tags.iter().any(|tag| !selected.followed.iter().any(|followed| is(followed, tag))) {
            return Err(Status::bad("That is no search which is kept up to date").into());
        }
        selected.followed.retain(|followed| !tags.iter().any(|tag| is(followed, tag)));
        Ok(Status::ok("No further updates"))
    }

    /// What has gone from the results, before the client hears that it is gone: numbers are as they were (§4.3.4).
    pub(super) fn tell_expunged(&mut self, updates: &[Update], wire: &mut Wire) {
        let Some(selected) = &mut self.selected else { return };
        if selected.followed.is_empty() {
            return;
        }
        let gone: Vec<(Uid, u32)> = updates
            .iter()
            .filter_map(|update| match update {
                Update::Expunge { number, uid } => Some((*uid, *number)),
                _ => None,
            })
            .collect();
        for followed in &mut selected.followed {
            let by = followed.by;
            let removed = followed.result.remove(gone.iter().map(|(uid, number)| {
                let name = if by == By::Uid { Some(*uid) } else { Uid::new(*number) };
                (*uid, name)
            }));
            followed.tell(&removed, &Places::new(), wire);
        }
    }

    /// What changed messages have made of the results, once the client has heard of the change. Those of `came`, which are
    /// new, of which a search or `items` want more to be told: which have been told of, is answered. A store that can't be
    /// asked costs delay, nothing else.
    pub(super) async fn tell_followed(
        &mut self,
        delta: &Delta,
        came: &UidSet,
        items: &[FetchItem],
        wire: &mut Wire,
    ) -> Result<UidSet, Fail> {
        let mut fetched = UidSet::new();
        let Some(selected) = self.selected.as_mut().filter(|selected| !selected.followed.is_empty()) else {
            return Ok(fetched);
        };
        let changed: UidSet = delta.changed.iter().map(|message| message.uid).collect();
        let changed = std::mem::take(&mut selected.unsettled).union(&changed);
        let mut left: UidSet = changed.iter().filter(|uid| selected.view.number(*uid).is_some()).collect();
        while !left.is_empty() {
            let page: UidSet = left.iter().take(PAGE).collect();
            let (messages, scores) = match self.scores(&page).await {
                Ok(scored) => scored,
                Err(error) => {
                    tracing::warn!(%error, "changes of a search are told later");
                    if let Some(selected) = &mut self.selected {
                        selected.unsettled = left;
                    }
                    return Ok(fetched);
                }
            };
            for (items, uids) in self.wanted_of_new(&messages, &scores, came, items) {
                fetched = fetched.union(&uids);
                self.fetch_unasked(&uids, items, wire).await?;
            }
            self.settle(&messages, scores, wire);
            left = left.difference(&page);
            wire.relieve().await?;
        }
        Ok(fetched)
    }

    /// RFC 5465 §7: what the searches want to be told of new messages that they find, `items` as well; each message once (§5.2).
    fn wanted_of_new(
        &self,
        messages: &[Message],
        scores: &Scores,
        came: &UidSet,
        items: &[FetchItem],
    ) -> Vec<(Vec<FetchItem>, UidSet)> {
        let Some(selected) = &self.selected else { return Vec::new() };
        let mut wanted: Vec<(Vec<FetchItem>, UidSet)> = Vec::new();
        for (i, message) in messages.iter().enumerate().filter(|(_, message)| came.contains(message.uid)) {
            let finding = selected.followed.iter().zip(scores).filter(|(_, scores)| scores[i].is_some());
            let mut all: Vec<FetchItem> = finding.flat_map(|(f, _)| f.items.iter().cloned()).collect();
            if all.is_empty() {
                continue;
            }
            all.extend_from_slice(items);
            match wanted.iter_mut().find(|(items, _)| *items == all) {
                Some((_, uids)) => uids.insert(message.uid),
                None => wanted.push((all, UidSet::single(message.uid))),
            }
        }
        wanted
    }

    /// Tells of messages what nobody has asked for just now.
    pub(super) async fn fetch_unasked(
        &mut self,
        uids: &UidSet,
        items: Vec<FetchItem>,
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        if items.is_empty() {
            return Ok(());
        }
        let mut left = uids.clone();
        while !left.is_empty() {
            let page: UidSet = left.iter().take(PAGE).collect();
            left = left.difference(&page);
            let Some(set) = SequenceSet::of(&page) else { break };
            match self.fetch(By::Uid, &set, items.clone(), &FetchModifiers::default(), wire).await {
                Ok(_) => {}
                Err(Fail::Status(status)) => {
                    tracing::warn!(reason = status.text, "new messages were not told of in full");
                }
                Err(fail) => return Err(fail),
            }
        }
        Ok(())
    }

    async fn scores(&self, page: &UidSet) -> Result<(Vec<Message>, Scores), StoreError> {
        let store = &*self.services.store;
        let Some(selected) = &self.selected else { return Ok((Vec::new(), Vec::new())) };
        let mut query = MessageQuery::of(page.clone());
        if selected.followed.iter().any(Followed::needs_details) {
            query = query.with_details();
        }
        let messages = store.messages(selected.at, query).await?;
        let mut all = Vec::with_capacity(selected.followed.len());
        for followed in &selected.followed {
            let context = Context {
                view: &selected.view,
                now: followed.now,
                comparator: followed.comparator,
                follows: true,
            };
            let mut scores = Vec::with_capacity(messages.len());
            for message in &messages {
                scores.push(followed.key.relevancy(message, store, selected.at, &context).await?);
            }
            all.push(scores);
        }
        Ok((messages, all))
    }

    fn settle(&mut self, messages: &[Message], scores: Scores, wire: &mut Wire) {
        let Some(selected) = &mut self.selected else { return };
        let view = &selected.view;
        for (followed, scores) in selected.followed.iter_mut().zip(scores) {
            let by = followed.by;
            let name = |uid: Uid| match by {
                By::Uid => Some(uid),
                By::Sequence => view.number(uid).and_then(Uid::new),
            };
            let pairs = || messages.iter().zip(&scores);
            let gone = pairs().filter(|(_, score)| score.is_none()).map(|(m, _)| (m.uid, name(m.uid)));
            let removed = followed.result.remove(gone);
            let found = pairs().filter_map(|(message, score)| Some((message, (*score)?, name(message.uid)?)));
            let added = followed.result.add(found, followed.comparator);
            followed.tell(&removed, &added, wire);
        }
    }
}

impl Followed {
    fn needs_details(&self) -> bool {
        let sorts = match &self.result {
            Known::Sorted(criteria, _) => needs_details(criteria),
            Known::Found(_) => false,
        };
        sorts || self.key.needs() >= Needs::Details
    }

    fn tell(&self, removed: &Places, added: &Places, wire: &mut Wire) {
        if !(removed.is_empty() && added.is_empty()) {
            wire.untagged(&Untagged::ContextUpdate { tag: &self.tag, by: self.by, removed, added });
        }
    }
}

impl Known {
    /// Takes messages out; each with what the client calls it.
    fn remove(&mut self, gone: impl Iterator<Item = (Uid, Option<Uid>)>) -> Places {
        let mut places = Places::new();
        match self {
            Known::Found(uids) => {
                let (gone, names): (Vec<Uid>, Vec<Option<Uid>>) =
                    gone.filter(|(uid, _)| uids.contains(*uid)).unzip();
                *uids = uids.difference(&gone.into_iter().collect());
                let names: UidSet = names.into_iter().flatten().collect();
                places.extend((!names.is_empty()).then_some((0, names)));
            }
            Known::Sorted(_, items) => {
                for (uid, name) in gone {
                    let at = items.iter().position(|item| item.uid == uid);
                    if let (Some(at), Some(name)) = (at, name) {
                        items.remove(at);
                        places.push((at as u32 + 1, UidSet::single(name)));
                    }
                }
            }
        }
        places
    }

    /// Takes in those that it does not have.
    fn add<'a>(
        &mut self,
        found: impl Iterator<Item = (&'a Message, u8, Uid)>,
        comparator: Comparator,
    ) -> Places {
        let mut places = Places::new();
        match self {
            Known::Found(uids) => {
                let (new, names): (Vec<Uid>, Vec<Uid>) = found
                    .filter(|(message, ..)| !uids.contains(message.uid))
                    .map(|(message, _, name)| (message.uid, name))
                    .unzip();
                uids.extend(new);
                let names: UidSet = names.into_iter().collect();
                places.extend((!names.is_empty()).then_some((0, names)));
            }
            Known::Sorted(criteria, items) => {
                for (message, relevancy, name) in found {
                    if items.iter().any(|item| item.uid == message.uid) {
                        continue;
                    }
                    let item = Sortable::new(message, relevancy, criteria, comparator);
                    let at = items.partition_point(|other| other.compare(&item, criteria).is_lt());
                    items.insert(at, item);
                    places.push((at as u32 + 1, UidSet::single(name)));
                }
            }
        }
        places
    }
}
