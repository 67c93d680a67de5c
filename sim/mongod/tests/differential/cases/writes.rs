//! `insert` and `delete` outside of transactions.

use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step;
use crate::server::SECANTUS_PY;
use bson::{Bson, doc};

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "inserts_one_and_many",
            [
                run(insert([doc! { "_id": 1, "a": "x" }])),
                run(insert([doc! { "_id": 2 }, doc! { "_id": 3 }])),
                run(with(
                    insert([doc! { "_id": 4 }]),
                    doc! { "writeConcern": { "w": "majority", "j": true } },
                )),
                run(with(insert([doc! { "_id": 5 }]), doc! { "writeConcern": { "w": 1 } })),
            ],
        ),
        case(
            "an_insert_makes_its_collection",
            [
                run(doc! { "insert": "d", "documents": [{ "_id": 1 }] }),
                run(doc! { "listCollections": 1, "nameOnly": true, "cursor": {}, "filter": {} }),
            ],
        ),
        case(
            "a_duplicate_key_is_told_with_its_pattern",
            [
                run(insert([doc! { "_id": "a" }])),
                run(insert([doc! { "_id": "a", "b": 1 }])),
                run(insert([doc! { "_id": 1 }])),
                // Of another type, and yet the same number.
                run(insert([doc! { "_id": 1_i64 }])),
                run(insert([doc! { "_id": 1.0 }])),
            ],
        ),
        case(
            "an_ordered_batch_ends_at_its_first_error",
            [
                run(insert([doc! { "_id": 2 }])),
                run(insert([doc! { "_id": 1 }, doc! { "_id": 2 }, doc! { "_id": 3 }])),
            ],
        ),
        case(
            "a_batch_without_order_goes_on",
            [
                run(insert([doc! { "_id": 2 }])),
                run(with(
                    insert([doc! { "_id": 1 }, doc! { "_id": 2 }, doc! { "_id": 3 }, doc! { "_id": 3 }]),
                    doc! { "ordered": false },
                )),
            ],
        ),
        case(
            "what_may_be_an_id",
            [
                run(insert([doc! { "_id": [1] }])),
                run(insert([doc! { "_id": null }])),
                run(insert([doc! { "_id": { "a": 1, "b": 2 } }])),
                run(insert([doc! { "_id": { "b": 2, "a": 1 } }])),
            ],
        )
        .waive(0, SECANTUS_PY, "arrays are no ids (manual, Documents)", Outcome::write_error("insert", 53))
        .waive(
            4,
            SECANTUS_PY,
            "as above",
            Outcome::end([
                doc! { "_id": null },
                doc! { "_id": { "a": 1, "b": 2 } },
                doc! { "_id": { "b": 2, "a": 1 } },
            ]),
        ),
        case(
            "a_document_that_is_too_large",
            [
                run(insert([doc! { "_id": 1, "text": "x".repeat(17 << 20) }])),
                run(insert([doc! { "_id": 2, "text": "x".repeat(15 << 20) }])),
                run(update(doc! { "_id": 2 }, doc! { "$set": { "more": "x".repeat(2 << 20) } })),
                run(update(doc! { "_id": 2 }, doc! { "$unset": { "text": 1 } })),
            ],
        ),
        case(
            "a_batch_has_to_hold_something",
            [
                run(insert([])),
                run(doc! { "update": "c", "updates": [] }),
                run(doc! { "delete": "c", "deletes": [] }),
            ],
        )
        .waive(1, SECANTUS_PY, "code 16 has a name", Outcome::error(16, "InvalidLength", &[]))
        .waive(2, SECANTUS_PY, "as above", Outcome::error(16, "InvalidLength", &[])),
        case(
            "fields_that_are_missing_or_unknown",
            [
                run(doc! { "insert": "c" }),
                run(with(insert([doc! { "_id": 1 }]), doc! { "frobnicate": 1 })),
                run(doc! { "update": "c", "updates": [{ "q": {} }] }),
                run(doc! { "update": "c", "updates": [{ "q": {}, "u": {}, "frobnicate": 1 }] }),
                run(doc! { "delete": "c", "deletes": [{ "q": {} }] }),
                run(doc! { "delete": "c", "deletes": [{ "limit": 1 }] }),
                run(doc! { "insert": "", "documents": [{ "_id": 1 }] }),
                run(doc! { "insert": 7, "documents": [{ "_id": 1 }] }),
            ],
        )
        .waive(
            0,
            SECANTUS_PY,
            "a required field is missing, which is told before what it holds",
            Outcome::error(40414, "IDLFailedToParse", &[]),
        )
        .waive(1, SECANTUS_PY, "unknown fields are refused", Outcome::error(40415, "IDLUnknownField", &[]))
        .waive(2, SECANTUS_PY, "required fields are required", Outcome::error(40414, "IDLFailedToParse", &[]))
        .waive(3, SECANTUS_PY, "code 40415 has a name", Outcome::error(40415, "IDLUnknownField", &[]))
        .waive(4, SECANTUS_PY, "required fields are required", Outcome::error(40414, "IDLFailedToParse", &[]))
        .waive(5, SECANTUS_PY, "as above", Outcome::error(40414, "IDLFailedToParse", &[]))
        .waive(
            7,
            SECANTUS_PY,
            "no internal error, but one of the caller's",
            Outcome::error(73, "InvalidNamespace", &[]),
        ),
        case(
            "commands_that_are_unknown",
            [run(doc! { "frobnicate": 1 }), Step::In('a', doc! { "frobnicate": 1 })],
        ),
        case(
            "deletes_one_and_many",
            [
                run(insert((1..=6).map(|id| doc! { "_id": id, "n": id / 2 }))),
                run(doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] }),
                run(
                    doc! { "delete": "c", "deletes": [{ "q": { "_id": { "$in": [1, 2, 3] } }, "limit": 0 }] },
                ),
                run(doc! { "delete": "c", "deletes": [
                    { "q": { "n": { "$lt": 3 } }, "limit": 0 }, { "q": { "_id": 99 }, "limit": 1 },
                ] }),
                run(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 2 }] }),
                run(doc! { "delete": "nowhere", "deletes": [{ "q": {}, "limit": 0 }] }),
                run(delete(doc! { "$frobnicate": 1 })),
            ],
        ),
        case(
            "values_come_back_as_they_went_in",
            [
                run(insert([doc! {
                    "_id": Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 255] }),
                    "z": 1, "a": 2_i64, "m": 0.5, "t": true, "n": null, "d": bson::DateTime::from_millis(1_700_000_000_123),
                    "l": ["x", { "y": [] }], "o": { "b": 1, "a": 2 }, "s": "\u{e9}\u{0}\u{1f600}",
                }])),
                run(find(doc! {})),
            ],
        ),
        case(
            "write_concerns_that_make_no_sense",
            [run(with(insert([doc! { "_id": 3 }]), doc! { "writeConcern": 1 }))],
        ),
    ]
}
