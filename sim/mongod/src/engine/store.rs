//! Collections, in versions: each document as it was after each entry of the log that somebody may still look at.
//!
//! The store is nothing but the log applied. A snapshot is an index of the log; a rollback drops what is younger.

use super::filter::Range;
use super::order::Key;
use crate::oplog::{Entry, Op};
use bson::{Bson, Document};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// A value over time: by the index of the entry that changed it, `None` where it took it away.
#[derive(Debug, Clone)]
pub struct Versions<T>(Vec<(u64, Option<T>)>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Versions(Vec::new())
    }
}

impl<T> Versions<T> {
    pub fn at(&self, index: u64) -> Option<&T> {
        self.0.iter().rev().find(|(since, _)| *since <= index)?.1.as_ref()
    }

    /// The entry that changed it last.
    pub fn newest(&self) -> u64 {
        self.0.last().map_or(0, |(since, _)| *since)
    }

    pub fn put(&mut self, index: u64, value: Option<T>) {
        // An entry may change something twice; what counts is how it leaves it.
        self.0.retain(|(since, _)| *since < index);
        self.0.push((index, value));
    }

    /// Whether anything is left.
    fn roll_back(&mut self, to: u64) -> bool {
        self.0.retain(|(since, _)| *since <= to);
        !self.0.is_empty()
    }

    /// Drops what only snapshots before `horizon` would see. Whether anything is left.
    fn prune(&mut self, horizon: u64) -> bool {
        let seen = self.0.iter().rposition(|(since, _)| *since <= horizon).unwrap_or(0);
        self.0.drain(..seen);
        !matches!(self.0.as_slice(), [(since, None)] if *since <= horizon)
    }
}

#[derive(Debug, Default)]
pub struct Collection {
    exists: Versions<()>,
    documents: BTreeMap<Key, Versions<Arc<Document>>>,
    /// By name.
    indexes: BTreeMap<String, Versions<Document>>,
}

impl Collection {
    pub fn exists(&self, at: u64) -> bool {
        self.exists.at(at).is_some()
    }

    pub fn document(&self, key: &Key, at: u64) -> Option<&Arc<Document>> {
        self.documents.get(key)?.at(at)
    }

    pub fn newest(&self, key: &Key) -> u64 {
        self.documents.get(key).map_or(0, Versions::newest)
    }

    /// In the order of `_id`.
    pub fn between(&self, bounds: Range, at: u64) -> impl DoubleEndedIterator<Item = (&Key, &Arc<Document>)> {
        let range = (!is_empty(&bounds)).then(|| self.documents.range(bounds));
        range.into_iter().flatten().filter_map(move |(key, versions)| Some((key, versions.at(at)?)))
    }

    pub fn indexes(&self, at: u64) -> impl Iterator<Item = &Document> {
        self.indexes.values().filter_map(move |versions| versions.at(at))
    }

    pub fn index(&self, name: &str, at: u64) -> Option<&Document> {
        self.indexes.get(name)?.at(at)
    }
}

/// Bounds that a map refuses to be asked for, since nothing is between them.
pub fn is_empty((low, high): &Range) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        _ => false,
    }
}

/// What an entry touched, so that old versions are found when they can go.
#[derive(Debug)]
enum Touched {
    Document(String, Key),
    Collection(String),
    Index(String, String),
}

#[derive(Debug, Default)]
pub struct Store {
    collections: BTreeMap<String, Collection>,
    touched: VecDeque<(u64, Touched)>,
}

impl Store {
    pub fn collection(&self, ns: &str) -> Option<&Collection> {
        self.collections.get(ns)
    }

    pub fn exists(&self, ns: &str, at: u64) -> bool {
        self.collection(ns).is_some_and(|collection| collection.exists(at))
    }

    /// `database.collection` of all there are.
    pub fn all(&self, at: u64) -> impl Iterator<Item = &String> {
        self.collections.iter().filter(move |(_, collection)| collection.exists(at)).map(|(ns, _)| ns)
    }

    /// Names of a database's collections.
    pub fn names(&self, database: &str, at: u64) -> Vec<String> {
        let prefix = format!("{database}.");
        let all = self.collections.range(prefix.clone()..).take_while(|(ns, _)| ns.starts_with(&prefix));
        all.filter(|(_, collection)| collection.exists(at))
            .map(|(ns, _)| ns[prefix.len()..].to_owned())
            .collect()
    }

    pub fn apply(&mut self, entry: &Entry) {
        let crate::Body::Write { ops, .. } = &entry.body else { return };
        for op in ops {
            self.apply_op(op, entry.at.index);
        }
    }

    fn apply_op(&mut self, op: &Op, index: u64) {
        match op {
            Op::Put { ns, document } => {
                self.create(ns, index);
                let id = Key(document.get("_id").cloned().unwrap_or(Bson::Null));
                self.put(ns, id, Some(Arc::new(document.clone())), index);
            }
            Op::Delete { ns, id } => self.put(ns, Key(id.clone()), None, index),
            Op::Create { ns } => self.create(ns, index),
            Op::Index { ns, spec } => {
                self.create(ns, index);
                let name = spec.get_str("name").unwrap_or_default().to_owned();
                self.put_index(ns, name, Some(spec.clone()), index);
            }
            Op::DropIndex { ns, name } => self.put_index(ns, name.clone(), None, index),
            Op::Drop { ns } => self.drop_collection(ns, index),
        }
    }

    fn put(&mut self, ns: &str, key: Key, document: Option<Arc<Document>>, index: u64) {
        let collection = self.collections.entry(ns.to_owned()).or_default();
        collection.documents.entry(key.clone()).or_default().put(index, document);
        self.touched.push_back((index, Touched::Document(ns.to_owned(), key)));
    }

    fn put_index(&mut self, ns: &str, name: String, spec: Option<Document>, index: u64) {
        let collection = self.collections.entry(ns.to_owned()).or_default();
        collection.indexes.entry(name.clone()).or_default().put(index, spec);
        self.touched.push_back((index, Touched::Index(ns.to_owned(), name)));
    }

    fn create(&mut self, ns: &str, index: u64) {
        if !self.exists(ns, index) {
            self.collections.entry(ns.to_owned()).or_default().exists.put(index, Some(()));
            self.touched.push_back((index, Touched::Collection(ns.to_owned())));
        }
    }

    fn drop_collection(&mut self, ns: &str, index: u64) {
        let Some(collection) = self.collections.get(ns) else { return };
        let all = (Bound::Unbounded, Bound::Unbounded);
        let keys: Vec<Key> = collection.between(all, index).map(|(key, _)| key.clone()).collect();
        let indexes: Vec<String> = collection.indexes.keys().cloned().collect();
        keys.into_iter().for_each(|key| self.put(ns, key, None, index));
        indexes.into_iter().for_each(|name| self.put_index(ns, name, None, index));
        self.collections.entry(ns.to_owned()).or_default().exists.put(index, None);
        self.touched.push_back((index, Touched::Collection(ns.to_owned())));
    }

    /// Undoes every entry after this one.
    pub fn roll_back(&mut self, to: u64) {
        while self.touched.back().is_some_and(|(index, _)| *index > to) {
            let Some((_, touched)) = self.touched.pop_back() else { return };
            self.revise(&touched, Revision::RollBack(to));
        }
    }

    /// Forgets versions that nobody looks at any more: all that later ones up to `horizon` have replaced.
    pub fn prune(&mut self, horizon: u64) {
        while self.touched.front().is_some_and(|(index, _)| *index <= horizon) {
            let Some((_, touched)) = self.touched.pop_front() else { return };
            self.revise(&touched, Revision::Prune(horizon));
        }
    }

    fn revise(&mut self, touched: &Touched, how: Revision) {
        let ns = match touched {
            Touched::Document(ns, _) | Touched::Collection(ns) | Touched::Index(ns, _) => ns,
        };
        let Some(collection) = self.collections.get_mut(ns) else { return };
        match touched {
            Touched::Document(_, key) => how.run(&mut collection.documents, key),
            Touched::Index(_, name) => how.run(&mut collection.indexes, name),
            Touched::Collection(_) => {
                let is_left = how.is_left(&mut collection.exists);
                if !is_left && collection.documents.is_empty() && collection.indexes.is_empty() {
                    self.collections.remove(ns);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Revision {
    RollBack(u64),
    Prune(u64),
}

impl Revision {
    fn is_left<T>(self, versions: &mut Versions<T>) -> bool {
        match self {
            Revision::RollBack(to) => versions.roll_back(to),
            Revision::Prune(horizon) => versions.prune(horizon),
        }
    }

    fn run<K: Ord, T>(self, all: &mut BTreeMap<K, Versions<T>>, key: &K) {
        if all.get_mut(key).is_some_and(|versions| !self.is_left(versions)) {
            all.remove(key);
        }
    }
}
