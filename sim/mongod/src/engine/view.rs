//! What a command sees: the store at one index, and over it what its own transaction has written.

use super::failure::Failure;
use super::filter::{Filter, Ids, Range};
use super::order::{Key, compare};
use super::store::{Store, is_empty};
use bson::{Bson, Document};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Documents that a transaction, or a command, has written: by collection and `_id`, `None` where it deleted one.
pub type Overlay = BTreeMap<String, BTreeMap<Key, Option<Arc<Document>>>>;

#[derive(Clone, Copy)]
pub struct View<'a> {
    pub store: &'a Store,
    pub at: u64,
    pub own: &'a Overlay,
}

/// Fields and directions.
#[derive(Debug, Clone, Default)]
pub struct Sort(Vec<(String, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

impl Sort {
    pub fn parse(sort: Option<&Document>) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for (path, value) in sort.into_iter().flatten() {
            if path.contains('.') || path.starts_with('$') {
                return Err(Failure::bad_value(format!("sorting by '{path}' is not simulated")));
            }
            let direction = match super::order::whole(value) {
                Some(1) => Direction::Ascending,
                Some(-1) => Direction::Descending,
                Some(_) => {
                    let text = "$sort key ordering must be 1 (for ascending) or -1 (for descending)";
                    return Err(Failure::new(15975, "Location15975", text));
                }
                None => {
                    let text = format!("Illegal key in $sort specification: {path}: {value}");
                    return Err(Failure::new(15974, "Location15974", text));
                }
            };
            all.push((path.clone(), direction));
        }
        Ok(Sort(all))
    }

    /// The direction in which `_id`s are walked; `None` if what is found has to be sorted afterwards.
    fn by_id(&self) -> Option<Direction> {
        match self.0.as_slice() {
            [] => Some(Direction::Ascending),
            [(path, direction), ..] if path == "_id" => Some(*direction),
            _ => None,
        }
    }

    fn compare(&self, a: &Document, b: &Document) -> Ordering {
        let one = |(path, direction): &(String, Direction)| {
            let value = |d: &'_ Document| d.get(path).cloned().unwrap_or(Bson::Null);
            let order = match (a.get(path), b.get(path)) {
                (Some(a), Some(b)) => compare(a, b),
                _ => compare(&value(a), &value(b)),
            };
            if *direction == Direction::Ascending { order } else { order.reverse() }
        };
        self.0.iter().map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// MongoDB sorts an array by its least or greatest element.
    fn refuse_arrays(&self, found: &[Arc<Document>]) -> Result<(), Failure> {
        let is_array = |path: &String| found.iter().any(|d| matches!(d.get(path), Some(Bson::Array(_))));
        match self.0.iter().find(|(path, _)| is_array(path)) {
            None => Ok(()),
            Some((path, _)) => {
                Err(Failure::bad_value(format!("sorting by arrays is not simulated: '{path}'")))
            }
        }
    }
}

impl<'a> View<'a> {
    pub fn get(&self, ns: &str, key: &Key) -> Option<&'a Arc<Document>> {
        match self.own.get(ns).and_then(|own| own.get(key)) {
            Some(own) => own.as_ref(),
            None => self.store.collection(ns)?.document(key, self.at),
        }
    }

    /// The first documents that match, all for 0. Without a sort, in the order of `_id`.
    pub fn find(
        &self,
        ns: &str,
        filter: &Filter,
        sort: &Sort,
        limit: usize,
    ) -> Result<Vec<Arc<Document>>, Failure> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let matches = |document: &&Arc<Document>| filter.matches(document);
        if let Some(direction) = sort.by_id() {
            return Ok(self.walk(ns, filter.ids(), direction).filter(matches).take(limit).cloned().collect());
        }
        let all = self.walk(ns, filter.ids(), Direction::Ascending);
        let mut found: Vec<Arc<Document>> = all.filter(matches).cloned().collect();
        sort.refuse_arrays(&found)?;
        found.sort_by(|a, b| sort.compare(a, b));
        found.truncate(limit);
        Ok(found)
    }

    fn walk(
        &self,
        ns: &str,
        ids: Ids,
        direction: Direction,
    ) -> Box<dyn Iterator<Item = &'a Arc<Document>> + 'a> {
        match ids {
            Ids::These(keys) => {
                let found: Vec<_> = keys.iter().filter_map(|key| self.get(ns, key)).collect();
                directed(found.into_iter(), direction)
            }
            Ids::Between(range) => self.walk_between(ns, *range, direction),
        }
    }

    fn walk_between(
        &self,
        ns: &str,
        bounds: Range,
        direction: Direction,
    ) -> Box<dyn Iterator<Item = &'a Arc<Document>> + 'a> {
        let at = self.at;
        let base = |bounds: Range| {
            let collection = self.store.collection(ns).into_iter();
            collection.flat_map(move |collection| collection.between(bounds.clone(), at))
        };
        match self.own.get(ns).filter(|own| !own.is_empty()) {
            // Lazily, since a limit may need few of many.
            None => directed(base(bounds).map(|(_, document)| document), direction),
            Some(own) => {
                let base = base(bounds.clone());
                let own = (!is_empty(&bounds)).then(|| own.range(bounds)).into_iter().flatten();
                let merged = merge(base, own.map(|(key, own)| (key, own.as_ref())));
                directed(merged.into_iter(), direction)
            }
        }
    }
}

fn directed<'a, T: 'a>(
    all: impl DoubleEndedIterator<Item = T> + 'a,
    direction: Direction,
) -> Box<dyn Iterator<Item = T> + 'a> {
    match direction {
        Direction::Ascending => Box::new(all),
        Direction::Descending => Box::new(all.rev()),
    }
}

/// Both in the order of their keys; where both have one, the second counts.
fn merge<'a>(
    base: impl Iterator<Item = (&'a Key, &'a Arc<Document>)>,
    own: impl Iterator<Item = (&'a Key, Option<&'a Arc<Document>>)>,
) -> Vec<&'a Arc<Document>> {
    let mut merged = Vec::new();
    let mut own = own.peekable();
    for (key, document) in base {
        while let Some((_, own)) = own.next_if(|(other, _)| *other < key) {
            merged.extend(own);
        }
        match own.next_if(|(other, _)| *other == key) {
            Some((_, own)) => merged.extend(own),
            None => merged.push(document),
        }
    }
    merged.extend(own.filter_map(|(_, own)| own));
    merged
}

/// Which fields are answered.
#[derive(Debug, Clone)]
pub enum Projection {
    All,
    Only { fields: Vec<String>, with_id: bool },
    Without(Vec<String>),
}

impl Projection {
    pub fn parse(projection: Option<&Document>) -> Result<Self, Failure> {
        let (mut with, mut without, mut id) = (Vec::new(), Vec::new(), None);
        for (path, value) in projection.into_iter().flatten() {
            if path.contains('.') || path.starts_with('$') {
                return Err(Failure::bad_value(format!("projecting '{path}' is not simulated")));
            }
            let wrong = || Failure::bad_value(format!("this projection is not simulated: {path}: {value}"));
            match super::fields::truth(value).ok_or_else(wrong)? {
                shown if path == "_id" => id = Some(shown),
                true => with.push(path.clone()),
                false => without.push(path.clone()),
            }
        }
        match (with.is_empty(), without.is_empty()) {
            (false, false) => Err(mixed(projection, &with[0], &without[0])),
            (false, true) => Ok(Projection::Only { fields: with, with_id: id != Some(false) }),
            (true, true) if id == Some(true) => Ok(Projection::Only { fields: with, with_id: true }),
            (true, _) => {
                without.extend((id == Some(false)).then(|| "_id".to_owned()));
                Ok(if without.is_empty() { Projection::All } else { Projection::Without(without) })
            }
        }
    }

    pub fn of(&self, document: &Document) -> Document {
        match self {
            Projection::All => document.clone(),
            Projection::Only { fields, with_id } => {
                let shown = |name: &str| fields.iter().any(|f| f == name) || *with_id && name == "_id";
                let kept = document.iter().filter(|(name, _)| shown(name));
                kept.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            Projection::Without(fields) => {
                let kept = document.iter().filter(|(name, _)| !fields.contains(name));
                kept.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
        }
    }
}

/// Which kind of projection it is, its first field says.
fn mixed(projection: Option<&Document>, with: &str, without: &str) -> Failure {
    let first =
        projection.into_iter().flatten().map(|(path, _)| path).find(|path| *path == with || *path == without);
    if first.is_some_and(|first| first == with) {
        let text = format!("Cannot do exclusion on field {without} in inclusion projection");
        Failure::new(31254, "Location31254", text)
    } else {
        let text = format!("Cannot do inclusion on field {with} in exclusion projection");
        Failure::new(31253, "Location31253", text)
    }
}
