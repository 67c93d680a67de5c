//! The commands.

use super::client::Db;
use super::error::{DbError, Kind};
use super::session::Session;
use super::values::{number, weight};
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{FindOptions, ReadConcern, ReadPreference, ReturnDocument, SelectionCriteria};

/// Documents of a command at most. The server's limits are 100,000 and 48 MB.
const COMMAND_DOCUMENTS: usize = 10_000;
const COMMAND_BYTES: usize = 12 << 20;

/// A read of documents.
#[derive(Debug, Clone, Default)]
pub struct Find {
    pub filter: Document,
    /// Always by an index; `None` only where the filter can match one at most.
    pub sort: Option<Document>,
    /// 0: all.
    pub limit: usize,
    /// `None`: whole documents.
    pub fields: Option<Document>,
}

/// A change of documents.
#[derive(Debug, Clone)]
pub struct Update {
    pub filter: Document,
    pub change: Document,
    pub upsert: bool,
    pub many: bool,
}

impl Update {
    /// Of the document with this `_id`.
    pub fn one(id: Bson, change: Document) -> Self {
        Update { filter: doc! { "_id": id }, change, upsert: false, many: false }
    }

    pub fn upsert(self) -> Self {
        Update { upsert: true, ..self }
    }
}

/// An index.
#[derive(Debug, Clone)]
pub struct Index {
    pub name: &'static str,
    pub keys: Document,
    /// Only documents that have the field.
    pub sparse: bool,
}

impl Find {
    fn options(&self) -> FindOptions {
        let limit = (self.limit > 0).then(|| i64::try_from(self.limit).unwrap_or(i64::MAX));
        let mut options = FindOptions::default();
        options.sort = self.sort.clone();
        options.limit = limit;
        options.projection = self.fields.clone();
        options
    }
}

impl Db {
    /// Makes indexes that are not there.
    pub async fn create_indexes(&self, collection: &str, indexes: &[Index]) -> Result<(), DbError> {
        let specify = |index: &Index| {
            let mut spec = doc! { "key": index.keys.clone(), "name": index.name };
            if index.sparse {
                spec.insert("sparse", true);
            }
            Bson::Document(spec)
        };
        let indexes: Vec<Bson> = indexes.iter().map(specify).collect();
        self.run("creating indexes", doc! { "createIndexes": collection, "indexes": indexes })
            .await
            .map(|_| ())
    }

    /// Makes a collection if it is not there: within a transaction that is not always possible.
    pub async fn create_collection(&self, collection: &str) -> Result<(), DbError> {
        const NAMESPACE_EXISTS: &str = "(48)";
        match self.run("creating a collection", doc! { "create": collection }).await {
            Err(e)
                if e.to_string().contains("NamespaceExists") || e.to_string().contains(NAMESPACE_EXISTS) =>
            {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// A document as a majority has it, outside of any transaction.
    pub async fn find_one(&self, collection: &str, filter: Document) -> Result<Option<Document>, DbError> {
        self.within("reading", |database| {
            let collection = database.collection(collection);
            async move { collection.find_one(filter).await }
        })
        .await
    }

    /// A document as it is now: what was acknowledged before this began is seen, by whomever it was written, and what is
    /// seen stays. One round trip, where a transaction takes two. MongoDB manual, "Read Concern \"linearizable\"": for
    /// one document by a unique key, from the primary, which makes sure that it still is; with a time limit, since it
    /// waits for a majority.
    pub async fn latest(
        &self,
        collection: &str,
        id: Bson,
        fields: Option<Document>,
    ) -> Result<Option<Document>, DbError> {
        let (patience, is_believed) = (self.patience, self.mistakes.reads_stale);
        self.within("reading", |database| {
            let collection = database.collection::<Document>(collection);
            async move {
                let mut find = collection.find_one(doc! { "_id": id });
                if let Some(fields) = fields {
                    find = find.projection(fields);
                }
                if is_believed {
                    let anybody = ReadPreference::Nearest { options: None };
                    return find
                        .read_concern(ReadConcern::local())
                        .selection_criteria(SelectionCriteria::ReadPreference(anybody))
                        .await;
                }
                find.read_concern(ReadConcern::linearizable()).max_time(patience).await
            }
        })
        .await
    }

    /// Documents as a majority has them, outside of any transaction.
    pub async fn find(&self, collection: &str, find: Find) -> Result<Vec<Document>, DbError> {
        self.within("reading", |database| {
            let collection = database.collection(collection);
            async move {
                let cursor = collection.find(find.filter.clone()).with_options(find.options()).await?;
                cursor.try_collect().await
            }
        })
        .await
    }

    /// Changes one document and answers how it is then, outside of any transaction.
    pub async fn modify(&self, collection: &str, update: Update) -> Result<Option<Document>, DbError> {
        let Update { filter, change, upsert, .. } = update;
        self.within("changing a document", |database| {
            let collection = database.collection(collection);
            async move {
                let modify = collection.find_one_and_update(filter, change).upsert(upsert);
                modify.return_document(ReturnDocument::After).await
            }
        })
        .await
    }

    /// Changes documents outside of any transaction; how many there were. Each change has to bear repetition.
    pub async fn update(&self, collection: &str, updates: Vec<Update>) -> Result<u64, DbError> {
        let mut found = 0;
        for (statements, _) in batches(updates.into_iter().map(statement)) {
            let command = doc! { "update": collection, "updates": statements, "writeConcern": concern() };
            found += written(&self.run("writing", command).await?)?;
        }
        Ok(found)
    }

    /// Deletes documents outside of any transaction; how many there were.
    pub async fn delete(&self, collection: &str, filter: Document) -> Result<u64, DbError> {
        let statement = doc! { "q": filter, "limit": 0 };
        let command = doc! { "delete": collection, "deletes": [statement], "writeConcern": concern() };
        written(&self.run("deleting", command).await?)
    }
}

impl Session {
    pub async fn find(&mut self, collection: &str, find: Find) -> Result<Vec<Document>, DbError> {
        let collection = self.collection(collection);
        self.run("reading", move |session| {
            Box::pin(async move {
                let (filter, options) = (find.filter.clone(), find.options());
                let mut cursor = collection.find(filter).with_options(options).session(&mut *session).await?;
                cursor.stream(session).try_collect().await
            })
        })
        .await
    }

    pub async fn find_one(
        &mut self,
        collection: &str,
        filter: Document,
    ) -> Result<Option<Document>, DbError> {
        let find = Find { filter, limit: 1, ..Find::default() };
        Ok(self.find(collection, find).await?.pop())
    }

    /// Changes one document and answers how it is then. Another transaction that changes it too fails, or this one.
    pub async fn modify(
        &mut self,
        collection: &str,
        filter: Document,
        change: Document,
    ) -> Result<Option<Document>, DbError> {
        let collection = self.collection(collection);
        self.run("changing a document", move |session| {
            Box::pin(async move {
                let modify = collection.find_one_and_update(filter, change);
                modify.return_document(ReturnDocument::After).session(session).await
            })
        })
        .await
    }

    /// Inserts documents, each with an `_id`.
    pub async fn insert(&mut self, collection: &str, documents: Vec<Document>) -> Result<(), DbError> {
        for (documents, _) in batches(documents.into_iter()) {
            self.write(doc! { "insert": collection, "documents": documents }).await?;
        }
        Ok(())
    }

    /// Changes documents; how many there were.
    pub async fn update(&mut self, collection: &str, updates: Vec<Update>) -> Result<u64, DbError> {
        let mut found = 0;
        for (statements, _) in batches(updates.into_iter().map(statement)) {
            found += self.write(doc! { "update": collection, "updates": statements }).await?;
        }
        Ok(found)
    }

    /// Deletes the documents with these `_id`s.
    pub async fn delete(&mut self, collection: &str, ids: Vec<Bson>) -> Result<(), DbError> {
        for (ids, _) in batches(ids.into_iter().map(|id| doc! { "_id": id })) {
            let ids: Vec<Bson> = ids.into_iter().filter_map(|id| id.get("_id").cloned()).collect();
            let statement = doc! { "q": { "_id": { "$in": ids } }, "limit": 0 };
            self.write(doc! { "delete": collection, "deletes": [statement] }).await?;
        }
        Ok(())
    }

    async fn write(&mut self, command: Document) -> Result<u64, DbError> {
        let database = self.pool.database.clone();
        let reply = self
            .run("writing", move |session| {
                Box::pin(async move { database.run_command(command).session(session).await })
            })
            .await?;
        written(&reply).map_err(|e| match e.kind {
            // Somebody else has made the document since the snapshot: another transaction will see it.
            Kind::Duplicate | Kind::Unknown => e.of_kind(Kind::Transient),
            _ => e,
        })
    }
}

fn statement(update: Update) -> Document {
    let Update { filter, change, upsert, many } = update;
    doc! { "q": filter, "u": change, "upsert": upsert, "multi": many }
}

fn concern() -> Document {
    doc! { "w": "majority", "j": true }
}

/// How many documents a write found, unless its reply tells of an error.
fn written(reply: &Document) -> Result<u64, DbError> {
    let first = reply.get_array("writeErrors").ok().and_then(|all| all.first()).and_then(Bson::as_document);
    if let Some(error) = first.or_else(|| reply.get_document("writeConcernError").ok()) {
        let code = error.get_i32("code").unwrap_or_default();
        return Err(DbError::of_reply(code, error.get_str("errmsg").unwrap_or("a write failed")));
    }
    Ok(number(reply, "n").unwrap_or_default().max(0) as u64)
}

/// Cuts a list into what one command may hold.
fn batches(documents: impl Iterator<Item = Document>) -> Vec<(Vec<Document>, usize)> {
    let mut all: Vec<(Vec<Document>, usize)> = Vec::new();
    for document in documents {
        let weight = weight(&document);
        match all.last_mut() {
            Some((batch, sum)) if batch.len() < COMMAND_DOCUMENTS && *sum + weight <= COMMAND_BYTES => {
                batch.push(document);
                *sum += weight;
            }
            _ => all.push((vec![document], weight)),
        }
    }
    all
}
