//! `find`, `getMore`, and counting.

use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step;
use crate::server::{SECANTUS_PY, SECANTUS_RS};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, doc};

fn bytes(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

/// What drivers count with.
fn count(filter: Document) -> Document {
    let group = doc! { "$group": { "_id": 1, "n": { "$sum": 1 } } };
    doc! { "aggregate": "c", "pipeline": [{ "$match": filter }, group], "cursor": {} }
}

/// A step that inserts, and one for each filter.
fn filters(documents: Vec<Document>, filters: Vec<Document>) -> Vec<Step> {
    let mut steps = vec![run(insert(documents))];
    steps.extend(filters.into_iter().map(|filter| run(find(filter))));
    steps
}

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "filters",
            filters(
                vec![
                    doc! { "_id": 1, "a": 1, "s": "x", "t": DateTime::from_millis(5) },
                    doc! { "_id": 2, "a": 2_i64, "s": "y", "l": [1, 2] },
                    doc! { "_id": 3, "a": null, "o": { "b": 1, "c": 2 } },
                    doc! { "_id": 4, "l": [{ "b": 1 }, { "b": 2 }], "t": DateTime::from_millis(9) },
                    doc! { "_id": "x", "a": "1" },
                ],
                vec![
                    doc! { "a": 1 },
                    doc! { "a": 2 },
                    doc! { "a": null },
                    doc! { "a": { "$exists": false } },
                    doc! { "a": { "$exists": true, "$ne": null } },
                    doc! { "a": { "$gte": 1, "$lt": 2 } },
                    doc! { "a": { "$in": [1, null] } },
                    doc! { "a": { "$nin": [1, 2] } },
                    doc! { "t": { "$not": { "$lte": DateTime::from_millis(5) } } },
                    doc! { "t": { "$gte": DateTime::from_millis(0), "$lte": DateTime::from_millis(5) } },
                    doc! { "l": 2 },
                    doc! { "l.b": 2 },
                    doc! { "o": { "b": 1, "c": 2 } },
                    doc! { "o": { "c": 2, "b": 1 } },
                    doc! { "o.b": { "$gt": 0 } },
                    doc! { "$or": [{ "a": 1 }, { "s": "y" }] },
                    doc! { "$and": [{ "a": 1 }, { "s": "y" }] },
                    doc! { "$nor": [{ "a": 1 }, { "s": "y" }] },
                    doc! { "_id": { "$gt": 1 } },
                    doc! { "_id": { "$in": ["x", 3, 1, 7] } },
                    doc! { "_id": { "$gte": "a", "$lt": "y" } },
                ],
            ),
        ),
        case(
            "ranges_of_byte_strings",
            filters(
                vec![
                    doc! { "_id": bytes(&[1, 0, 0, 1]) },
                    doc! { "_id": bytes(&[1, 0, 0, 2]) },
                    doc! { "_id": bytes(&[1, 0, 0, 200]) },
                    doc! { "_id": bytes(&[2, 0, 0, 0]) },
                    doc! { "_id": bytes(&[9]) },
                    doc! { "_id": bytes(&[0; 5]) },
                ],
                vec![
                    doc! { "_id": { "$gte": bytes(&[1, 0, 0, 0]), "$lte": bytes(&[1, 255, 255, 255]) } },
                    doc! { "_id": { "$gt": bytes(&[1, 0, 0, 1]), "$lt": bytes(&[2, 0, 0, 0]) } },
                    doc! { "_id": bytes(&[9]) },
                    doc! { "_id": { "$lt": bytes(&[1]) } },
                    doc! {},
                ],
            ),
        )
        .waive(
            4,
            SECANTUS_PY,
            "byte strings are ordered by their length first (manual, Comparison/Sort Order)",
            Outcome::batch([]),
        ),
        case(
            "documents_in_order",
            [
                run(insert((1..=6).map(|id| doc! { "_id": id, "a": id % 2, "n": 10 - id }))),
                run(doc! { "find": "c", "sort": { "_id": -1 }, "limit": 2 }),
                run(doc! { "find": "c", "sort": { "a": 1, "n": 1 } }),
                run(doc! { "find": "c", "sort": { "a": -1, "n": -1 }, "limit": 4 }),
                run(
                    doc! { "find": "c", "filter": { "a": 1 }, "sort": { "n": 1 }, "limit": 1, "projection": { "_id": 1 } },
                ),
                run(doc! { "find": "c", "sort": { "absent": 1, "_id": -1 } }),
                run(doc! { "find": "nowhere", "sort": { "_id": 1 } }),
            ],
        ),
        case(
            "values_of_all_types_in_order",
            [
                run(insert([
                    doc! { "_id": 1, "v": "a" },
                    doc! { "_id": 2, "v": 2.5 },
                    doc! { "_id": 3, "v": null },
                    doc! { "_id": 4 },
                    doc! { "_id": 5, "v": true },
                    doc! { "_id": 6, "v": DateTime::from_millis(1) },
                    doc! { "_id": 7, "v": { "a": 1 } },
                    doc! { "_id": 8, "v": bytes(b"ab") },
                    doc! { "_id": 9, "v": 2_i64 },
                    doc! { "_id": 10, "v": bytes(b"z") },
                    doc! { "_id": 11, "v": "B" },
                    doc! { "_id": 12, "v": false },
                ])),
                run(doc! { "find": "c", "sort": { "v": 1, "_id": 1 }, "projection": { "_id": 1 } }),
                run(doc! { "find": "c", "sort": { "v": -1, "_id": 1 }, "projection": { "_id": 1 } }),
                run(find(doc! { "v": { "$gt": 2 } })),
                run(find(doc! { "v": { "$lt": "b" } })),
            ],
        ),
        case(
            "projections",
            [
                run(insert([doc! { "_id": 1, "a": 1, "b": { "c": 2 }, "d": [1] }])),
                run(with(find(doc! {}), doc! { "projection": { "a": 1, "d": true } })),
                run(with(find(doc! {}), doc! { "projection": { "_id": 0, "b": 1 } })),
                run(with(find(doc! {}), doc! { "projection": { "a": 0, "b": 0 } })),
                run(with(find(doc! {}), doc! { "projection": { "_id": 1 } })),
                run(with(find(doc! {}), doc! { "projection": { "_id": 0 } })),
                run(with(find(doc! {}), doc! { "projection": {} })),
                run(with(find(doc! {}), doc! { "projection": { "a": 1, "b": 0 } })),
                run(with(find(doc! {}), doc! { "projection": { "a": 0, "b": 1 } })),
            ],
        ),
        case(
            "a_cursor_goes_on_until_it_ends",
            [
                run(insert((1..=250).map(|id| doc! { "_id": id }))),
                Step::In('a', find(doc! {})),
                Step::In('a', doc! { "getMore": "it", "collection": "c" }),
                Step::In('a', doc! { "getMore": "it", "collection": "c" }),
                Step::In('a', with(find(doc! {}), doc! { "batchSize": 100 })),
                Step::In('a', doc! { "getMore": "it", "collection": "c", "batchSize": 100 }),
                Step::In('a', doc! { "getMore": "it", "collection": "c", "batchSize": 100 }),
                Step::In('a', with(find(doc! {}), doc! { "batchSize": 0 })),
                Step::In('a', doc! { "getMore": "it", "collection": "c", "batchSize": 2 }),
                Step::In('a', doc! { "killCursors": "c" }),
                Step::In('a', doc! { "getMore": "it", "collection": "c" }),
                Step::In('a', with(find(doc! {}), doc! { "batchSize": 2, "singleBatch": true })),
                Step::In('a', with(find(doc! {}), doc! { "batchSize": 2, "limit": 2 })),
                Step::In('a', with(find(doc! {}), doc! { "batchSize": 2, "limit": 3 })),
                Step::In('a', doc! { "getMore": "it", "collection": "c", "batchSize": 2 }),
                Step::In('a', doc! { "getMore": 12_345_i64, "collection": "c" }),
                Step::In('a', doc! { "getMore": 1, "collection": "c" }),
                Step::In('a', doc! { "getMore": 1_i64 }),
            ],
        )
        .waive(
            11,
            SECANTUS_PY,
            "a single batch is no larger than it was asked for",
            Outcome::batch([doc! { "_id": 1 }, doc! { "_id": 2 }]),
        ),
        case(
            "read_concerns",
            [
                run(insert([doc! { "_id": 1 }])),
                run(with(find(doc! {}), doc! { "readConcern": { "level": "majority" } })),
                run(with(find(doc! {}), doc! { "readConcern": { "level": "local" } })),
                run(with(
                    find(doc! { "_id": 1 }),
                    doc! { "readConcern": { "level": "linearizable" }, "maxTimeMS": 5000 },
                )),
                run(with(find(doc! {}), doc! { "readConcern": { "level": "frobnicate" } })),
                run(with(find(doc! {}), doc! { "readConcern": { "frobnicate": 1 } })),
            ],
        )
        .waive(5, SECANTUS_PY, "unknown fields are refused", Outcome::error(40415, "IDLUnknownField", &[]))
        .waive(
            4,
            SECANTUS_PY,
            "levels are an enumeration: mongo/db/read_concern.idl",
            Outcome::error(2, "BadValue", &[]),
        ),
        case(
            "documents_are_counted",
            [
                run(count(doc! {})),
                run(insert((1..=5).map(|id| doc! { "_id": id, "a": id % 2 }))),
                run(count(doc! {})),
                run(count(doc! { "a": 1 })),
                run(count(doc! { "a": 9 })),
                run(doc! { "aggregate": "c", "pipeline": [] }),
                run(doc! { "aggregate": "c", "pipeline": [{ "$frobnicate": 1 }], "cursor": {} }),
            ],
        ),
        case(
            "reads_that_are_refused",
            [
                run(find(doc! { "$frobnicate": 1 })),
                run(find(doc! { "a": { "$frobnicate": 1 } })),
                run(find(doc! { "a": { "$in": 1 } })),
                run(find(doc! { "$or": [] })),
                run(find(doc! { "$or": 1 })),
                run(find(doc! { "$and": [1] })),
                run(find(doc! { "a": { "$not": 1 } })),
                run(doc! { "find": "c", "sort": { "a": 0 } }),
                run(doc! { "find": "c", "sort": { "a": "up" } }),
                run(doc! { "find": "c", "sort": 1 }),
                run(doc! { "find": "c", "filter": 1 }),
                run(doc! { "find": "c", "limit": -1 }),
                run(doc! { "find": "c", "limit": "many" }),
                run(doc! { "find": "c", "frobnicate": 1 }),
                run(doc! { "find": 1 }),
                run(doc! { "find": "" }),
                run(doc! { "find": "c", "batchSize": -1 }),
            ],
        )
        .waive(13, SECANTUS_PY, "unknown fields are refused", Outcome::error(40415, "IDLUnknownField", &[]))
        .waive(
            14,
            SECANTUS_PY,
            "no internal error, but one of the caller's",
            Outcome::error(73, "InvalidNamespace", &[]),
        )
        .waive(15, SECANTUS_PY, "collections have names", Outcome::error(73, "InvalidNamespace", &[]))
        .waive(
            3,
            SECANTUS_RS,
            "an array of one or more expressions (manual, $or)",
            Outcome::error(2, "BadValue", &[]),
        ),
    ]
}
