//! Collections, indexes, and the version of it all.

use super::db::{Db, DbError, Index, Update};
use super::doc::number;
use mongodb::bson::{Bson, doc};

pub const ACCOUNTS: &str = "accounts";
pub const ADDRESSES: &str = "addresses";
pub const SUBSCRIPTIONS: &str = "subscriptions";
/// By the id of the mailbox or account that they are of.
pub const ANNOTATIONS: &str = "annotations";
pub const MAILBOXES: &str = "mailboxes";
pub const MESSAGES: &str = "messages";
pub const CHANGES: &str = "changes";
pub const OPERATIONS: &str = "operations";
pub const CONTENTS: &str = "contents";
pub const BLOBS: &str = "blobs";
pub const CHUNKS: &str = "chunks";
/// Content that may have lost its last message.
pub const GARBAGE: &str = "garbage";
/// Mailboxes that were deleted and have left messages behind.
pub const PURGES: &str = "purges";
/// What transactions add to the counters, to be folded into `TOTALS` and `DAYS`.
pub const DELTAS: &str = "deltas";
pub const TOTALS: &str = "totals";
pub const DAYS: &str = "days";
pub const SECRETS: &str = "secrets";
pub const LEASES: &str = "leases";
/// The highest UIDVALIDITY among accounts that have gone, by a hash of the address.
pub const UIDVALIDITIES: &str = "uidvalidities";
/// Small named values: certificates, leases.
pub const DOCUMENTS: &str = "documents";
/// Nodes, by the id that they hold leases under.
pub const NODES: &str = "nodes";
pub const META: &str = "meta";

/// Made at the start, since a transaction can't always make them. `ANNOTATIONS` came later than the first databases, and is made
/// where it is missing. So did `NODES`, which is
/// written outside of transactions, and so makes itself.
const ALL: [&str; 22] = [
    ACCOUNTS,
    ADDRESSES,
    SUBSCRIPTIONS,
    ANNOTATIONS,
    MAILBOXES,
    MESSAGES,
    CHANGES,
    OPERATIONS,
    CONTENTS,
    BLOBS,
    CHUNKS,
    GARBAGE,
    PURGES,
    DELTAS,
    TOTALS,
    DAYS,
    SECRETS,
    LEASES,
    UIDVALIDITIES,
    DOCUMENTS,
    NODES,
    META,
];

/// The schema this code reads and writes.
pub const VERSION: i64 = 1;

pub fn indexes() -> Vec<(&'static str, Vec<Index>)> {
    let index = |name, keys| Index { name, keys, sparse: false };
    let sparse = |name, keys| Index { sparse: true, ..index(name, keys) };
    vec![
        (ACCOUNTS, vec![sparse("expires", doc! { "expires": 1 })]),
        (ADDRESSES, vec![index("account", doc! { "account": 1 })]),
        // Names are kept unique by the account, which whoever changes the list of its mailboxes has to take.
        (MAILBOXES, vec![index("account_name", doc! { "account": 1, "name": 1 })]),
        (MESSAGES, vec![sparse("expires", doc! { "expires": 1 }), index("content", doc! { "content": 1 })]),
        (CHANGES, vec![index("at", doc! { "at": 1 })]),
        (OPERATIONS, vec![index("at", doc! { "at": 1 })]),
        (CONTENTS, vec![sparse("blobs", doc! { "blobs": 1 })]),
        (BLOBS, vec![sparse("check", doc! { "check": 1 })]),
        (GARBAGE, vec![index("at", doc! { "at": 1 })]),
    ]
}

/// Makes what is missing. Any number of nodes may do this at once: every step may be repeated.
pub async fn prepare(db: &Db) -> Result<(), DbError> {
    let known = db.find_one(META, doc! { "_id": "schema" }).await?;
    let version = known.as_ref().and_then(|known| number(known, "version"));
    if let Some(version) = version.filter(|version| *version > VERSION) {
        return Err(DbError::refused(format!(
            "the database has schema {version}, this program knows up to {VERSION}: a newer Gadwall has used it"
        )));
    }
    if version == Some(VERSION) {
        return db.create_collection(ANNOTATIONS).await;
    }
    for collection in ALL {
        db.create_collection(collection).await?;
    }
    for (collection, indexes) in indexes() {
        db.create_indexes(collection, &indexes).await?;
    }
    // Last, so that a start that was broken off is made good by the next.
    let id = Bson::String("schema".into());
    let update = Update::one(id, doc! { "$set": { "version": VERSION } }).upsert();
    db.update(META, vec![update]).await.map(|_| ())
}
