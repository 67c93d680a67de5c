//! The backend's own commands, as its module `db` sends them: with the driver's encoding, its sessions and its retries.

use crate::server::{Server, database_name};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, doc};
use gadwall_storage::mongo::Mistakes;
use gadwall_storage::mongo::db::{Db, DbError, Find, Index, Session, Settings, Update};
use std::fmt::Debug;

/// What each command came to.
#[derive(Default)]
struct Journal(Vec<String>);

impl Journal {
    /// Errors by what the backend makes of them, and the server's code: the rest is text.
    fn note<T: Debug>(&mut self, what: &str, outcome: Result<T, DbError>) -> Option<T> {
        self.0.push(match &outcome {
            Ok(value) => format!("{what}: {value:?}"),
            Err(error) => {
                let text = error.to_string();
                let code = text.rfind('(').map_or("", |at| &text[at..]);
                format!("{what}: {:?} {code}", error.kind)
            }
        });
        outcome.ok()
    }
}

fn key(of: u8, n: u32) -> Bson {
    let mut bytes = vec![of; 12];
    bytes.extend(n.to_be_bytes());
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
}

fn message(n: u32) -> Document {
    doc! { "_id": key(1, n), "modseq": i64::from(n), "flags": 0, "keywords": [], "content": key(9, n % 2) }
}

fn filter(filter: Document) -> Find {
    Find { filter, ..Find::default() }
}

async fn begin(db: &Db) -> Session {
    db.begin().await.expect("a session can be had")
}

/// Collections and indexes, made twice, as any number of nodes may.
async fn prepares(db: &Db, journal: &mut Journal) {
    for _ in 0..2 {
        journal.note("create", db.create_collection("messages").await);
        let index = |name, keys, sparse| Index { name, keys, sparse };
        let indexes = [
            index("expires", doc! { "expires": 1 }, true),
            index("account_name", doc! { "account": 1, "name": 1 }, false),
        ];
        journal.note("indexes", db.create_indexes("messages", &indexes).await);
    }
    for name in ["mailboxes", "operations"] {
        journal.note("create", db.create_collection(name).await);
    }
    let other = [Index { name: "expires", keys: doc! { "at": 1 }, sparse: false }];
    journal.note("an index that contradicts", db.create_indexes("messages", &other).await);
    journal.note(
        "collections",
        db.collections().await.map(|mut all| {
            all.sort();
            all
        }),
    );
    journal.note(
        "names of indexes",
        db.indexes("messages").await.map(|mut all| {
            all.sort();
            all
        }),
    );
    journal.note("of nothing", db.indexes("nowhere").await);
}

/// A mailbox is taken, messages and a record are written, and all of it is committed; then again under the same record.
async fn mutates(db: &Db, journal: &mut Journal) {
    let mailbox = doc! { "$setOnInsert": { "uidnext": 1_i64, "messages": 0_i64, "name": "INBOX" } };
    journal.note("mailbox", db.update("mailboxes", vec![Update::one(key(0, 1), mailbox).upsert()]).await);
    for attempt in 0..2 {
        let mut tx = begin(db).await;
        let grow = doc! { "$inc": { "uidnext": 3_i64, "messages": 3_i64, "touched": 1_i64 } };
        journal.note("taken", tx.modify("mailboxes", doc! { "_id": key(0, 1) }, grow).await);
        let first = 1 + attempt * 3;
        journal.note("messages", tx.insert("messages", (first..first + 3).map(message).collect()).await);
        let operation = doc! { "_id": "op", "at": DateTime::from_millis(5) };
        journal.note("the record", tx.insert("operations", vec![operation]).await);
        journal.note("commit", tx.commit().await);
        journal.note("commit again", tx.commit().await);
    }
    let mut tx = begin(db).await;
    let flags = doc! { "$set": { "modseq": 9_i64, "flags": 4, "keywords": ["x"] } };
    let of_some = doc! { "_id": { "$in": [key(1, 1), key(1, 2), key(1, 7)] } };
    let many = Update { filter: of_some, change: flags, upsert: false, many: true };
    let greatest = Update::one(Bson::String("h".into()), doc! { "$max": { "last": 7_i64 } }).upsert();
    journal.note("flags", tx.update("messages", vec![many]).await);
    journal.note("greatest", tx.update("mailboxes", vec![greatest.clone(), greatest]).await);
    journal.note("deleted", tx.delete("messages", vec![key(1, 3), key(1, 8)]).await);
    journal.note("commit", tx.commit().await);
    let mut tx = begin(db).await;
    journal.note("deleted", tx.delete("messages", vec![key(1, 1)]).await);
    tx.abort().await;
}

async fn reads(db: &Db, journal: &mut Journal) {
    let range = doc! { "_id": { "$gte": key(1, 0), "$lte": key(1, u32::MAX) } };
    let sorted = |limit| Find { sort: Some(doc! { "_id": -1 }), limit, ..filter(range.clone()) };
    journal.note("one", db.find_one("messages", doc! { "_id": key(1, 2) }).await);
    journal.note("none", db.find_one("messages", doc! { "_id": key(1, 99) }).await);
    journal.note("latest", db.latest("messages", key(1, 2), Some(doc! { "flags": 1 })).await);
    journal.note("latest of none", db.latest("messages", key(1, 99), None).await);
    journal.note("all", db.find("messages", sorted(0)).await);
    let content =
        Find { fields: Some(doc! { "content": 1 }), ..filter(doc! { "content": { "$in": [key(9, 0)] } }) };
    let mut tx = begin(db).await;
    journal.note("some", tx.find("messages", sorted(1)).await);
    journal.note("fields", tx.find("messages", Find { sort: Some(doc! { "_id": 1 }), ..content }).await);
    journal.note("one", tx.find_one("mailboxes", doc! { "_id": key(0, 1) }).await);
    journal
        .note("due", tx.find_one("messages", doc! { "expires": { "$lte": DateTime::from_millis(9) } }).await);
    journal.note("commit", tx.commit().await);
    // More than a first batch.
    let mut tx = begin(db).await;
    journal.note("many", tx.insert("messages", (1000..1300).map(message).collect()).await);
    journal.note("many read", tx.find("messages", sorted(0)).await.map(|all| all.len()));
    journal.note("commit", tx.commit().await);
    journal.note("many read outside", db.find("messages", sorted(0)).await.map(|all| all.len()));
}

/// Leases, documents by version, and what is cleared away, outside of transactions.
async fn works_outside(db: &Db, journal: &mut Journal) {
    for (holder, now) in [("a", 0), ("b", 0), ("a", 0), ("b", 20)] {
        let free = vec![doc! { "until": { "$lte": now } }, doc! { "holder": holder }];
        let lease = Update {
            filter: doc! { "_id": "lease", "$or": free },
            change: doc! { "$set": { "holder": holder, "until": now + 10 }, "$inc": { "token": 1_i64 } },
            upsert: true,
            many: false,
        };
        journal.note("lease", db.modify("leases", lease).await);
    }
    let version = |known: i64| Update {
        filter: doc! { "_id": "d", "version": known },
        ..Update::one(Bson::Null, doc! { "$set": { "value": known }, "$inc": { "version": 1_i64 } })
    };
    let first = Update::one("d".into(), doc! { "$setOnInsert": { "version": 1_i64 } }).upsert();
    for update in [first.clone(), first, version(1), version(1), version(2)] {
        journal.note("document", db.update("documents", vec![update]).await);
    }
    journal.note("document", db.find_one("documents", doc! { "_id": "d" }).await);
    journal.note("refused", db.delete("documents", doc! { "$frobnicate": 1 }).await);
    journal.note(
        "refused",
        db.update("documents", vec![Update::one("d".into(), doc! { "$frobnicate": {} })]).await,
    );
    journal.note("cleared", db.delete("documents", doc! { "version": { "$lt": 9_i64 } }).await);
    journal.note("cleared", db.delete("nowhere", doc! {}).await);
}

/// Two that want the same.
async fn conflicts(db: &Db, journal: &mut Journal) {
    let take = || doc! { "$inc": { "touched": 1_i64 } };
    let id = || doc! { "_id": key(0, 1) };
    let (mut first, mut second) = (begin(db).await, begin(db).await);
    journal.note("first", first.modify("mailboxes", id(), take()).await);
    journal.note("second", second.modify("mailboxes", id(), take()).await);
    journal.note("second goes on", second.find_one("mailboxes", id()).await);
    journal.note("second commits", second.commit().await);
    journal.note("first commits", first.commit().await);
    let (mut first, mut second) = (begin(db).await, begin(db).await);
    journal.note("first", first.find_one("mailboxes", id()).await);
    journal.note("second", second.insert("operations", vec![doc! { "_id": "op 2" }]).await);
    journal.note("second commits", second.commit().await);
    journal.note("first", first.insert("operations", vec![doc! { "_id": "op 2" }]).await);
    journal.note("first commits", first.commit().await);
}

async fn journal(server: &Server, name: &str) -> Vec<String> {
    let db = Db::connect(&server.uri, name, &Settings::default(), Mistakes::default()).await.unwrap();
    let mut journal = Journal::default();
    prepares(&db, &mut journal).await;
    mutates(&db, &mut journal).await;
    reads(&db, &mut journal).await;
    works_outside(&db, &mut journal).await;
    conflicts(&db, &mut journal).await;
    db.drop_database().await.unwrap();
    journal.0
}

#[tokio::test]
async fn the_backends_own_commands_are_answered_alike() {
    let (simulated, other) = (Server::simulated(Default::default()).await, Server::other().await);
    let name = database_name();
    let (ours, theirs) = (journal(&simulated, &name).await, journal(&other, &name).await);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "simulated on the left, {:?} on the right", other.kind);
    }
    assert_eq!(ours.len(), theirs.len());
}
