//! Statements that write: within a transaction or outside of any.

use super::change::{Change, Occasion};
use super::failure::{Failure, Stop};
use super::faulty::Faulty;
use super::fields;
use super::filter::{Filter, literal};
use super::order::Key;
use super::session::Sessions;
use super::store::Store;
use super::view::{Overlay, Sort, View};
use crate::oplog::Op;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use std::sync::Arc;

/// <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size>
pub const DOCUMENT_LIMIT: usize = 16 << 20;

/// Runs statements against a view, and keeps what they write.
pub struct Writer<'a> {
    pub store: &'a Store,
    pub sessions: &'a mut Sessions,
    /// What is seen: of a transaction its snapshot, else the last entry.
    pub at: u64,
    pub own: Overlay,
    /// The session whose transaction it is.
    pub holder: Option<Vec<u8>>,
    /// What has been written since this was last taken.
    pub ops: Vec<Op>,
    /// For `_id`s that a client left to the server.
    pub seed: [u8; 12],
    pub faulty: Faulty,
}

/// An `update` statement.
pub struct UpdateStatement {
    pub filter: Filter,
    pub change: Change,
    pub upsert: bool,
    pub many: bool,
}

/// A `findAndModify`.
pub struct Modify {
    pub filter: Filter,
    pub sort: Sort,
    /// `None`: the document goes.
    pub change: Option<Change>,
    pub upsert: bool,
    pub new: bool,
}

/// What a `findAndModify` found or made.
pub struct Modified {
    pub shown: Option<Arc<Document>>,
    pub existed: bool,
    pub upserted: Option<Bson>,
}

impl UpdateStatement {
    pub fn parse(statement: &Document) -> Result<Self, Failure> {
        let missing = |what: &str| Failure::missing(&format!("update.updates.{what}"));
        let change = Change::parse(statement.get("u").ok_or_else(|| missing("u"))?)?;
        let many = fields::flag(statement, "multi")?;
        if many && matches!(change, Change::Replace(_)) {
            return Err(Failure::unparsable("multi update is not supported for replacement-style update"));
        }
        let filter = Filter::parse(fields::document(statement, "q")?.ok_or_else(|| missing("q"))?)?;
        Ok(UpdateStatement { filter, change, many, upsert: fields::flag(statement, "upsert")? })
    }
}

impl Writer<'_> {
    fn view(&self) -> View<'_> {
        View { store: self.store, at: self.at, own: &self.own }
    }

    pub fn insert(&mut self, ns: &str, mut document: Document) -> Result<(), Stop> {
        if !document.contains_key("_id") {
            let mut with_id = doc! { "_id": self.mint() };
            with_id.extend(document);
            document = with_id;
        }
        check(&document)?;
        let key = Key(document.get("_id").cloned().unwrap_or(Bson::Null));
        if self.view().get(ns, &key).is_some() && !self.faulty.unique_not_enforced {
            // Also if a transaction that is open has deleted it: that is not seen yet, and nothing is waited for.
            return Err(Failure::duplicate(ns, &key.0).into());
        }
        self.put(ns, key, Some(Arc::new(document)))
    }

    /// The part of the reply that belongs to the statement: `n`, `nModified`, `upserted`.
    pub fn update(&mut self, ns: &str, update: &UpdateStatement) -> Result<Document, Stop> {
        let limit = if update.many { 0 } else { 1 };
        let found = self.view().find(ns, &update.filter, &Sort::default(), limit)?;
        let mut modified = 0;
        for before in &found {
            modified += i32::from(self.change(ns, before, &update.change)?.is_some());
        }
        if found.is_empty() && update.upsert {
            let id = self.upsert(ns, &update.filter, &update.change)?.1;
            return Ok(doc! { "n": 1, "nModified": 0, "upserted": id });
        }
        Ok(doc! { "n": found.len() as i32, "nModified": modified })
    }

    pub fn delete(&mut self, ns: &str, filter: &Filter, limit: usize) -> Result<i32, Stop> {
        let found = self.view().find(ns, filter, &Sort::default(), limit)?;
        for document in &found {
            self.put(ns, id_of(document), None)?;
        }
        Ok(found.len() as i32)
    }

    pub fn modify(&mut self, ns: &str, modify: &Modify) -> Result<Modified, Stop> {
        let found = self.view().find(ns, &modify.filter, &modify.sort, 1)?.pop();
        let Some(before) = found else {
            return match &modify.change {
                Some(change) if modify.upsert => {
                    let (document, id) = self.upsert(ns, &modify.filter, change)?;
                    let shown = modify.new.then_some(document);
                    Ok(Modified { shown, existed: false, upserted: Some(id) })
                }
                _ => Ok(Modified { shown: None, existed: false, upserted: None }),
            };
        };
        let after = match &modify.change {
            None => {
                self.put(ns, id_of(&before), None)?;
                None
            }
            Some(change) => Some(self.change(ns, &before, change)?.unwrap_or_else(|| before.clone())),
        };
        let shown = if modify.new { after } else { Some(before) };
        Ok(Modified { shown, existed: true, upserted: None })
    }

    /// Writes a document that has changed. One that has not is not written, and so conflicts with nothing.
    fn change(
        &mut self,
        ns: &str,
        before: &Document,
        change: &Change,
    ) -> Result<Option<Arc<Document>>, Stop> {
        let after = change.applied(before, Occasion::Update)?;
        if change.is_idle(before, &after) {
            return Ok(None);
        }
        check(&after)?;
        let after = Arc::new(after);
        self.put(ns, id_of(&after), Some(after.clone()))?;
        Ok(Some(after))
    }

    fn upsert(&mut self, ns: &str, filter: &Filter, change: &Change) -> Result<(Arc<Document>, Bson), Stop> {
        let mut document = change.upserted(filter)?;
        if !document.contains_key("_id") {
            document.insert("_id", self.mint());
        }
        let id = id_of(&document);
        self.insert(ns, document)?;
        let made =
            self.view().get(ns, &id).cloned().ok_or_else(|| Failure::bad_value("an upsert is lost"))?;
        Ok((made, id.0))
    }

    fn put(&mut self, ns: &str, key: Key, document: Option<Arc<Document>>) -> Result<(), Stop> {
        let claim = (ns.to_owned(), key.clone());
        self.sessions.check_claim(&claim, self.holder.as_deref())?;
        if let Some(holder) = &self.holder {
            let newest = self.store.collection(ns).map_or(0, |collection| collection.newest(&key));
            if newest > self.at && !self.faulty.no_conflict_with_the_past {
                return Err(Failure::write_conflict().into());
            }
            self.sessions.claims.insert(claim, holder.clone());
        }
        self.ops.push(match &document {
            Some(document) => Op::Put { ns: ns.to_owned(), document: Document::clone(document) },
            None => Op::Delete { ns: ns.to_owned(), id: key.0.clone() },
        });
        self.own.entry(ns.to_owned()).or_default().insert(key, document);
        Ok(())
    }

    fn mint(&mut self) -> Bson {
        for byte in self.seed.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        Bson::ObjectId(ObjectId::from_bytes(self.seed))
    }
}

/// The entry of a transaction: each document as it leaves it.
pub fn ops_of(own: &Overlay) -> Vec<Op> {
    let each = |ns: &String, documents: &BTreeMap<Key, Option<Arc<Document>>>| -> Vec<Op> {
        let op = |(key, document): (&Key, &Option<Arc<Document>>)| match document {
            Some(document) => Op::Put { ns: ns.clone(), document: Document::clone(document) },
            None => Op::Delete { ns: ns.clone(), id: key.0.clone() },
        };
        documents.iter().map(op).collect()
    };
    own.iter().flat_map(|(ns, documents)| each(ns, documents)).collect()
}

fn id_of(document: &Document) -> Key {
    Key(document.get("_id").cloned().unwrap_or(Bson::Null))
}

fn check(document: &Document) -> Result<(), Failure> {
    let size = fields::size(document);
    if size > DOCUMENT_LIMIT {
        let text = format!("object to insert too large. size in bytes: {size}, max size: {DOCUMENT_LIMIT}");
        return Err(Failure::new(10334, "BSONObjectTooLarge", text));
    }
    for (name, value) in document {
        literal(value)?;
        if name.starts_with('$') {
            return Err(Failure::new(52, "DollarPrefixedFieldName", format!("'{name}' begins with $")));
        }
    }
    match document.get("_id") {
        Some(Bson::Array(_)) => {
            Err(Failure::new(53, "InvalidIdField", "The '_id' value cannot be of type array"))
        }
        _ => Ok(()),
    }
}
