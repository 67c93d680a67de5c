//! Transactions, as the driver runs them: what they see and leave, and errors in them.

use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step::{self, Abort, Begin, Commit, In};
use crate::server::SECANTUS_PY;
use bson::{Document, doc};

pub fn increase(id: i32) -> Document {
    update(doc! { "_id": id }, doc! { "$inc": { "n": 1 } })
}

pub fn take(id: i32) -> Document {
    doc! { "findAndModify": "c", "query": { "_id": id }, "update": { "$inc": { "touched": 1_i64 } }, "new": true }
}

pub fn two() -> Step {
    run(insert([doc! { "_id": 1, "n": 0 }, doc! { "_id": 2, "n": 0 }]))
}

pub fn cases() -> Vec<Case> {
    [committed(), errors()].concat()
}

fn committed() -> Vec<Case> {
    vec![
        case(
            "a_transaction_as_the_backend_runs_it",
            [
                two(),
                Begin('a'),
                In('a', take(1)),
                In('a', find(doc! { "_id": { "$in": [1, 2] } })),
                In(
                    'a',
                    doc! { "delete": "c", "deletes": [{ "q": { "_id": { "$in": [2, 3] } }, "limit": 0 }] },
                ),
                In(
                    'a',
                    doc! { "update": "c", "updates": [
                        { "q": { "_id": 1 }, "u": { "$set": { "a": 1 } }, "upsert": false, "multi": false },
                        { "q": { "_id": 4 }, "u": { "$max": { "last": 5_i64 } }, "upsert": true, "multi": false },
                        { "q": { "_id": { "$in": [1, 4] } }, "u": { "$set": { "flags": 7 } }, "upsert": false, "multi": true },
                    ] },
                ),
                In('a', insert([doc! { "_id": 5 }, doc! { "_id": 6 }])),
                In('a', find(doc! {})),
                run(find(doc! {})),
                Commit('a'),
                run(find(doc! {})),
                Commit('a'),
            ],
        ),
        case(
            "what_is_aborted_has_not_been",
            [
                two(),
                Begin('a'),
                In('a', insert([doc! { "_id": 5 }])),
                In('a', doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] }),
                In('a', find(doc! {})),
                Abort('a'),
                run(find(doc! {})),
                Begin('a'),
                In('a', insert([doc! { "_id": 5, "again": true }])),
                Commit('a'),
            ],
        ),
        case(
            "a_transaction_that_only_reads",
            [
                two(),
                Begin('a'),
                In('a', find(doc! {})),
                Commit('a'),
                Begin('a'),
                Commit('a'),
                Begin('a'),
                In('a', find(doc! { "_id": 9 })),
                Abort('a'),
            ],
        ),
        case(
            "a_transaction_sees_one_moment",
            [
                two(),
                Begin('a'),
                In('a', find(doc! {})),
                run(increase(1)),
                run(insert([doc! { "_id": 3 }])),
                run(delete(doc! { "_id": 2 })),
                In('a', find(doc! {})),
                In(
                    'a',
                    doc! { "aggregate": "c", "pipeline": [
                        { "$match": {} }, { "$group": { "_id": 1, "n": { "$sum": 1 } } },
                    ], "cursor": {} },
                ),
                Commit('a'),
                In('a', find(doc! {})),
            ],
        ),
        case(
            "its_moment_is_that_of_its_first_command",
            [two(), Begin('a'), run(increase(1)), In('a', find(doc! {})), Commit('a')],
        ),
        case(
            "a_cursor_within_a_transaction",
            [
                run(insert((1..=5).map(|id| doc! { "_id": id }))),
                Begin('a'),
                In('a', with(find(doc! {}), doc! { "batchSize": 2 })),
                run(delete(doc! {})),
                In('a', doc! { "getMore": "it", "collection": "c", "batchSize": 2 }),
                In('a', doc! { "getMore": "it", "collection": "c", "batchSize": 2 }),
                Commit('a'),
            ],
        ),
        case(
            "a_transaction_may_make_a_collection",
            [
                Begin('a'),
                In('a', doc! { "insert": "d", "documents": [{ "_id": 1 }] }),
                In('a', doc! { "find": "d" }),
                Commit('a'),
                run(doc! { "listCollections": 1, "nameOnly": true }),
            ],
        ),
        case(
            "a_transaction_in_a_collection_that_is_not_there",
            [
                Begin('a'),
                In('a', doc! { "find": "d" }),
                In(
                    'a',
                    doc! { "update": "d", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "a": 1 } } }] },
                ),
                In('a', doc! { "delete": "d", "deletes": [{ "q": { "_id": 1 }, "limit": 0 }] }),
                Commit('a'),
            ],
        ),
        case(
            "an_entry_and_its_opposite",
            [
                Begin('a'),
                In('a', insert([doc! { "_id": 1 }])),
                In('a', delete(doc! { "_id": 1 })),
                In('a', insert([doc! { "_id": 1, "again": true }])),
                Commit('a'),
                Begin('a'),
                In('a', delete(doc! { "_id": 1 })),
                In('a', insert([doc! { "_id": 1, "third": true }])),
                Commit('a'),
            ],
        ),
    ]
}

fn errors() -> Vec<Case> {
    vec![
        case(
            "a_duplicate_key_ends_the_transaction",
            [
                two(),
                Begin('a'),
                In('a', insert([doc! { "_id": 3 }])),
                In('a', insert([doc! { "_id": 4 }, doc! { "_id": 1 }])),
                In('a', find(doc! {})),
                Commit('a'),
            ],
        ),
        case(
            "a_duplicate_key_ends_it_whatever_the_order",
            [
                two(),
                Begin('a'),
                In('a', with(insert([doc! { "_id": 1 }, doc! { "_id": 4 }]), doc! { "ordered": false })),
                Commit('a'),
            ],
        )
        .waive(
            2,
            SECANTUS_PY,
            "handleError in mongo/db/ops/write_ops_exec.cpp",
            Outcome::reply(doc! { "n": 0, "writeErrors": [duplicate(0, 1)] }),
        ),
        case(
            "an_upsert_whose_id_is_taken_ends_it",
            [
                two(),
                Begin('a'),
                In('a', with(take(1), doc! { "query": { "_id": 1, "n": 9 }, "upsert": true })),
                Commit('a'),
            ],
        ),
        case(
            "any_error_ends_the_transaction",
            [
                two(),
                Begin('a'),
                In('a', insert([doc! { "_id": 3 }])),
                In('a', update(doc! { "_id": 1 }, doc! { "$frobnicate": { "a": 1 } })),
                Commit('a'),
                Begin('a'),
                In('a', insert([doc! { "_id": 3 }])),
                In('a', find(doc! { "$frobnicate": 1 })),
                In('a', find(doc! {})),
            ],
        ),
        case(
            "a_first_command_that_fails_leaves_nothing",
            [two(), Begin('a'), In('a', find(doc! { "$frobnicate": 1 })), In('a', find(doc! {}))],
        ),
    ]
}
