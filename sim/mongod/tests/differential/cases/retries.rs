//! Retryable writes: the same number again has no effect again.

use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step::In;
use crate::server::SECANTUS_PY;
use bson::{Document, doc};

fn increase(id: i32) -> Document {
    update(doc! { "_id": id }, doc! { "$inc": { "n": 1 } })
}

fn increase_all() -> Document {
    doc! { "update": "c", "updates": [{ "q": {}, "u": { "$inc": { "n": 1 } }, "multi": true }] }
}

fn take(new: bool) -> Document {
    doc! {
        "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } }, "new": new, "upsert": true,
    }
}

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "an_insert_that_is_repeated",
            [
                In('a', numbered(insert([doc! { "_id": 1 }, doc! { "_id": 2 }]), 1)),
                In('a', numbered(insert([doc! { "_id": 1 }, doc! { "_id": 2 }]), 1)),
                run(delete(doc! {})),
                In('a', numbered(insert([doc! { "_id": 1 }, doc! { "_id": 2 }]), 1)),
                In('a', numbered(insert([doc! { "_id": 1 }]), 2)),
            ],
        ),
        case(
            "an_update_that_is_repeated",
            [
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', numbered(increase(1), 1)),
                In('a', numbered(increase(1), 1)),
                In('a', numbered(increase(1), 2)),
                In('b', numbered(increase(1), 1)),
            ],
        ),
        case(
            "an_upsert_that_is_repeated",
            [
                In('a', numbered(upsert(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }), 1)),
                In('a', numbered(upsert(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }), 1)),
            ],
        ),
        case(
            "a_findandmodify_that_is_repeated",
            [
                In('a', numbered(take(true), 1)),
                In('a', numbered(take(true), 1)),
                In('a', numbered(take(false), 2)),
                run(increase(1)),
                In('a', numbered(take(false), 2)),
            ],
        ),
        case(
            "a_delete_that_is_repeated",
            [
                run(insert([doc! { "_id": 1 }])),
                In('a', numbered(doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] }, 1)),
                run(insert([doc! { "_id": 1, "again": true }])),
                In('a', numbered(doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] }, 1)),
            ],
        ),
        case(
            "statements_are_known_by_their_numbers",
            [
                In('a', with(numbered(insert([doc! { "_id": 1 }]), 1), doc! { "stmtId": 5 })),
                In('a', with(numbered(insert([doc! { "_id": 2 }]), 1), doc! { "stmtId": 6 })),
                In('a', with(numbered(insert([doc! { "_id": 3 }]), 1), doc! { "stmtId": 5 })),
            ],
        )
        .waive(
            3,
            SECANTUS_PY,
            "statements are known by their ids",
            Outcome::end([doc! { "_id": 1 }, doc! { "_id": 2 }]),
        ),
        case(
            "an_older_write_is_too_old",
            [
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', numbered(increase(1), 5)),
                In('a', numbered(increase(1), 4)),
            ],
        )
        .waive(2, SECANTUS_PY, PARTICIPANT, too_old())
        .waive(3, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1, "n": 1 }])),
        case(
            "a_write_that_found_nothing_may_find_something",
            [
                In('a', numbered(increase(1), 1)),
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', numbered(increase(1), 1)),
            ],
        )
        .waive(
            2,
            SECANTUS_PY,
            "nothing was written, so nothing is remembered",
            Outcome::reply(doc! { "n": 1, "nModified": 1 }),
        )
        .waive(3, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1, "n": 1 }])),
        case(
            "a_write_that_failed_may_succeed",
            [
                run(insert([doc! { "_id": 1 }])),
                In('a', numbered(insert([doc! { "_id": 1, "mine": true }]), 1)),
                run(delete(doc! {})),
                In('a', numbered(insert([doc! { "_id": 1, "mine": true }]), 1)),
            ],
        ),
        case(
            "writes_of_many_are_not_retryable",
            [
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', numbered(increase_all(), 1)),
                In('a', numbered(delete(doc! {}), 2)),
            ],
        )
        .waive(
            1,
            SECANTUS_PY,
            "performSingleUpdateOp in mongo/db/ops/write_ops_exec.cpp",
            Outcome::write_error("update", 72),
        )
        .waive(2, SECANTUS_PY, "as above", Outcome::write_error("delete", 72))
        .waive(3, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1, "n": 0 }])),
        case(
            "a_number_is_of_a_write_or_of_a_transaction",
            [
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', numbered(increase(1), 1)),
                In('a', next(increase(1), 1)),
                In('a', first(increase(1), 2)),
                In('a', commit(2)),
                In('a', numbered(increase(1), 2)),
                In('a', first(increase(1), 3)),
                In('a', abort(3)),
                In('a', numbered(increase(1), 3)),
            ],
        )
        .waive(5, SECANTUS_PY, PARTICIPANT, Outcome::error(217, "IncompleteTransactionHistory", &[]))
        .waive(8, SECANTUS_PY, "as above", Outcome::error(217, "IncompleteTransactionHistory", &[]))
        .waive(9, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1, "n": 2 }])),
        case(
            "a_transaction_can_not_be_begun_twice",
            [
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', first(increase(1), 1)),
                In('a', first(increase(1), 1)),
            ],
        )
        .waive(
            2,
            SECANTUS_PY,
            PARTICIPANT,
            Outcome::error(117, "ConflictingOperationInProgress", &[]),
        ),
        case(
            "a_transaction_can_not_be_begun_under_a_writes_number",
            [
                run(insert([doc! { "_id": 1, "n": 0 }])),
                In('a', numbered(increase(1), 1)),
                In('a', first(increase(1), 1)),
            ],
        )
        .waive(
            2,
            SECANTUS_PY,
            PARTICIPANT,
            Outcome::error(117, "ConflictingOperationInProgress", &[]),
        ),
    ]
}
