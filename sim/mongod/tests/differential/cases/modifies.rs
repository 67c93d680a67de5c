//! `findAndModify`: how the backend takes a document.

use crate::case::*;
use bson::{Document, doc};

fn modify(query: Document, change: Document) -> Document {
    doc! { "findAndModify": "c", "query": query, "update": change, "new": true }
}

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "a_document_is_changed_and_shown",
            [
                run(insert([doc! { "_id": 1, "n": 1 }])),
                run(modify(doc! { "_id": 1 }, doc! { "$inc": { "n": 1, "touched": 1_i64 } })),
                run(doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } } }),
                run(modify(doc! { "_id": 2 }, doc! { "$inc": { "n": 1 } })),
                run(modify(doc! { "_id": 1 }, doc! { "$set": { "n": 3 } })),
                run(with(
                    modify(doc! { "_id": 1 }, doc! { "$set": { "m": 3 } }),
                    doc! { "fields": { "m": 1 } },
                )),
                run(
                    doc! { "findAndModify": "nowhere", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } } },
                ),
            ],
        ),
        case(
            "a_document_is_made",
            [
                run(with(modify(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }), doc! { "upsert": true })),
                run(
                    doc! { "findAndModify": "c", "query": { "_id": 2 }, "update": { "$set": { "a": 1 } }, "upsert": true },
                ),
                run(with(modify(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }), doc! { "upsert": true })),
            ],
        ),
        case(
            "a_lease_is_taken_or_not",
            [
                run(with(
                    modify(
                        doc! { "_id": "l", "$or": [{ "until": { "$lte": 5 } }, { "holder": "a" }] },
                        doc! { "$set": { "holder": "a", "until": 10 }, "$inc": { "token": 1_i64 } },
                    ),
                    doc! { "upsert": true },
                )),
                run(with(
                    modify(
                        doc! { "_id": "l", "$or": [{ "until": { "$lte": 5 } }, { "holder": "b" }] },
                        doc! { "$set": { "holder": "b", "until": 10 }, "$inc": { "token": 1_i64 } },
                    ),
                    doc! { "upsert": true },
                )),
            ],
        ),
        case(
            "a_document_is_taken_away",
            [
                run(insert([doc! { "_id": 1, "n": 2 }, doc! { "_id": 2, "n": 1 }])),
                run(doc! { "findAndModify": "c", "query": {}, "sort": { "n": 1 }, "remove": true }),
                run(doc! { "findAndModify": "c", "query": { "_id": 9 }, "remove": true }),
                run(
                    doc! { "findAndModify": "c", "query": {}, "sort": { "_id": -1 }, "remove": true, "fields": { "_id": 0 } },
                ),
            ],
        ),
        case(
            "what_findandmodify_refuses",
            [
                run(insert([doc! { "_id": 1, "s": "x" }])),
                run(doc! { "findAndModify": "c", "query": {} }),
                run(
                    doc! { "findAndModify": "c", "query": {}, "remove": true, "update": { "$set": { "a": 1 } } },
                ),
                run(doc! { "findAndModify": "c", "query": {}, "remove": true, "new": true }),
                run(doc! { "findAndModify": "c", "query": {}, "remove": true, "upsert": true }),
                run(modify(doc! { "_id": 1 }, doc! { "$inc": { "s": 1 } })),
                run(modify(doc! { "_id": 1 }, doc! { "$set": { "_id": 2 } })),
                run(modify(doc! { "_id": 1 }, doc! { "$frobnicate": { "a": 1 } })),
                run(modify(doc! { "$frobnicate": 1 }, doc! { "$set": { "a": 1 } })),
                run(with(modify(doc! { "_id": 1 }, doc! { "$set": { "a": 1 } }), doc! { "frobnicate": 1 })),
            ],
        ),
    ]
}
