//! Collections and their indexes.

use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step;
use crate::server::{NEWER, SECANTUS_PY, SECANTUS_RS};
use bson::doc;

pub fn cases() -> Vec<Case> {
    vec![
        case("collections_are_made_once", [
            run(doc! { "create": "d" }),
            run(doc! { "create": "d" }),
            run(doc! { "listCollections": 1, "nameOnly": true, "cursor": { "batchSize": 1000 } }),
            run(doc! { "create": "" }),
            run(doc! { "create": "d", "frobnicate": 1 }),
        ])
        .waive(
            1,
            NEWER,
            "newer versions than the simulated 7.0 let a collection be made twice",
            Outcome::error(48, "NamespaceExists", &[]),
        ),
        case("collections_are_dropped", [
            run(insert([doc! { "_id": 1 }])),
            run(doc! { "drop": "c" }),
            run(find(doc! {})),
            run(doc! { "drop": "c" }),
            run(insert([doc! { "_id": 1, "again": true }])),
            run(doc! { "dropDatabase": 1 }),
            run(doc! { "listCollections": 1, "nameOnly": true, "cursor": {} }),
            run(doc! { "dropDatabase": 1 }),
        ])
        .waive(
            5,
            SECANTUS_RS,
            "newer versions than the simulated 7.0 do not name the database",
            Outcome::dropped(),
        )
        .waive(7, SECANTUS_RS, "as above", Outcome::dropped()),
        case("indexes_are_made_once", [
            run(doc! { "createIndexes": "c", "indexes": [
                { "key": { "account": 1, "name": 1 }, "name": "account_name" },
                { "key": { "expires": 1 }, "name": "expires", "sparse": true },
            ] }),
            run(doc! { "createIndexes": "c", "indexes": [
                { "key": { "expires": 1 }, "name": "expires", "sparse": true }, { "key": { "at": 1 }, "name": "at" },
            ] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "at": 1 }, "name": "at" }] }),
            run(doc! { "listIndexes": "c", "cursor": { "batchSize": 1000 } }),
            run(doc! { "createIndexes": "d", "indexes": [{ "key": { "at": 1 }, "name": "at" }] }),
            run(doc! { "listIndexes": "d" }),
            run(doc! { "listIndexes": "nowhere" }),
        ])
        .waive(
            2,
            SECANTUS_PY,
            "indexesAlreadyExist in mongo/db/commands/create_indexes.cpp",
            Outcome::reply(doc! { "numIndexesBefore": 4, "numIndexesAfter": 4 }),
        ),
        case("indexes_that_contradict_others", [
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "at": 1 }, "name": "at" }] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "to": 1 }, "name": "at" }] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "at": 1 }, "name": "other" }] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "at": 1 }, "name": "at", "sparse": true }] }),
            run(doc! { "createIndexes": "c", "indexes": [] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "at": 1 } }] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "name": "at" }] }),
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "x": 1 }, "name": "x", "frobnicate": 1 }] }),
            run(doc! { "createIndexes": "c" }),
        ])
        .waive(4, SECANTUS_PY, "mongo/db/commands/create_indexes.cpp", Outcome::error(2, "BadValue", &[]))
        .waive(6, SECANTUS_PY, "a required property is missing", Outcome::error(9, "FailedToParse", &[]))
        .waive(
            7,
            SECANTUS_PY,
            "mongo/db/index/index_key_validate.cpp",
            Outcome::error(197, "InvalidIndexSpecificationOption", &[]),
        ),
        case("indexes_are_dropped", [
            run(doc! { "createIndexes": "c", "indexes": [{ "key": { "at": 1 }, "name": "at" }] }),
            run(doc! { "dropIndexes": "c", "index": "at" }),
            run(doc! { "dropIndexes": "c", "index": "at" }),
            run(doc! { "dropIndexes": "c", "index": "_id_" }),
            run(doc! { "dropIndexes": "nowhere", "index": "at" }),
            run(doc! { "listIndexes": "c" }),
        ]),
        case("commands_that_are_not_for_transactions", [
            Step::Begin('a'),
            Step::In('a', insert([doc! { "_id": 1 }])),
            Step::In('a', doc! { "listCollections": 1, "nameOnly": true }),
            Step::Commit('a'),
        ])
        .waive(3, SECANTUS_PY, COMMANDS_NOT_ALLOWED, Outcome::of(Ok(doc! {})))
        .waive(4, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1 }])),
    ]
}
