//! Transactions, as the driver runs them and made by hand.

use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step::{self, Abort, Begin, Behind, Commit, In, Join};
use crate::server::SECANTUS_PY;
use bson::{Document, doc};

fn increase(id: i32) -> Document {
    update(doc! { "_id": id }, doc! { "$inc": { "n": 1 } })
}

fn take(id: i32) -> Document {
    doc! { "findAndModify": "c", "query": { "_id": id }, "update": { "$inc": { "touched": 1_i64 } }, "new": true }
}

fn two() -> Step {
    run(insert([doc! { "_id": 1, "n": 0 }, doc! { "_id": 2, "n": 0 }]))
}

pub fn cases() -> Vec<Case> {
    [committed(), conflicts(), errors(), by_hand()].concat()
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

fn conflicts() -> Vec<Case> {
    vec![
        case(
            "the_first_of_two_writers_wins",
            [
                two(),
                Begin('a'),
                In('a', take(1)),
                Begin('b'),
                In('b', take(1)),
                In('b', find(doc! {})),
                Commit('a'),
            ],
        ),
        case(
            "a_conflict_within_a_batch",
            [
                two(),
                Begin('a'),
                In('a', increase(1)),
                Begin('b'),
                In('b', insert([doc! { "_id": 5 }])),
                In(
                    'b',
                    doc! { "update": "c", "updates": [
                        { "q": { "_id": 2 }, "u": { "$inc": { "n": 1 } } }, { "q": { "_id": 1 }, "u": { "$inc": { "n": 1 } } },
                    ] },
                ),
                Commit('b'),
                Commit('a'),
            ],
        ),
        case(
            "a_delete_conflicts_too",
            [
                two(),
                Begin('a'),
                In('a', increase(1)),
                Begin('b'),
                In('b', delete(doc! { "_id": 1 })),
                Abort('b'),
                Commit('a'),
                Begin('b'),
                In('b', delete(doc! { "_id": 1 })),
                Begin('a'),
                In('a', increase(1)),
                Commit('b'),
            ],
        ),
        case(
            "two_that_insert_the_same",
            [
                Begin('a'),
                In('a', insert([doc! { "_id": 1, "of": "a" }])),
                Begin('b'),
                In('b', insert([doc! { "_id": 1, "of": "b" }])),
                Commit('a'),
            ],
        ),
        case(
            "what_another_has_deleted_and_not_committed_is_still_there",
            [
                two(),
                Begin('a'),
                In('a', delete(doc! { "_id": 1 })),
                run(with(insert([doc! { "_id": 1, "of": "nobody" }]), doc! { "maxTimeMS": 2000 })),
                Begin('b'),
                In('b', insert([doc! { "_id": 1, "of": "b" }])),
                Commit('a'),
                run(insert([doc! { "_id": 1, "of": "nobody" }])),
            ],
        ),
        case(
            "what_was_committed_since_is_a_conflict",
            [
                two(),
                Begin('a'),
                In('a', find(doc! {})),
                run(increase(1)),
                In('a', increase(1)),
                Begin('a'),
                In('a', find(doc! {})),
                run(insert([doc! { "_id": 3 }])),
                In('a', insert([doc! { "_id": 3 }])),
                Begin('a'),
                In('a', find(doc! {})),
                run(delete(doc! { "_id": 2 })),
                In('a', increase(2)),
            ],
        ),
        case(
            "an_update_that_changes_nothing_conflicts_with_nothing",
            [
                two(),
                Begin('a'),
                In('a', increase(1)),
                Begin('b'),
                In('b', update(doc! { "_id": 1 }, doc! { "$set": { "n": 0 } })),
                Commit('b'),
                Commit('a'),
            ],
        ),
        case(
            "a_writer_outside_waits_for_the_transaction",
            [
                two(),
                Begin('a'),
                In('a', increase(1)),
                Behind(increase(1)),
                Commit('a'),
                Join,
                Begin('a'),
                In('a', increase(1)),
                Behind(take(1)),
                Abort('a'),
                Join,
            ],
        ),
        case(
            "a_writer_outside_has_only_so_much_time",
            [
                two(),
                Begin('a'),
                In('a', increase(1)),
                run(with(increase(1), doc! { "maxTimeMS": 50 })),
                run(find(doc! {})),
                Commit('a'),
            ],
        ),
        case(
            "a_reader_outside_waits_for_nobody",
            [
                two(),
                Begin('a'),
                In('a', increase(1)),
                In('a', delete(doc! { "_id": 2 })),
                run(find(doc! {})),
                run(with(
                    find(doc! { "_id": 1 }),
                    doc! { "readConcern": { "level": "linearizable" }, "maxTimeMS": 5000 },
                )),
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
            "nothing comes after an error in a transaction: handleError in mongo/db/ops/write_ops_exec.cpp",
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

fn by_hand() -> Vec<Case> {
    vec![
        case("a_commit_may_be_repeated_and_an_abort_not", [
            two(),
            In('a', first(increase(1), 1)),
            In('a', commit(1)),
            In('a', commit(1)),
            In('a', abort(1)),
            In('a', next(increase(1), 1)),
            In('a', first(increase(1), 2)),
            In('a', abort(2)),
            In('a', abort(2)),
            In('a', commit(2)),
            In('a', next(increase(1), 2)),
        ])
        .waive(8, SECANTUS_PY, "an abort is labelled as a commit is: mongo/db/error_labels.cpp", Outcome::error(251, "NoSuchTransaction", &["TransientTransactionError"])),
        case("transactions_that_nobody_has_begun", [
            two(),
            In('a', next(increase(1), 1)),
            In('a', commit(1)),
            In('a', abort(1)),
            In('b', first(find(doc! {}), 5)),
            In('b', next(find(doc! {}), 6)),
            In('b', next(find(doc! {}), 5)),
            In('b', commit(5)),
        ])
        .waive(3, SECANTUS_PY, "an abort is labelled as a commit is: mongo/db/error_labels.cpp", Outcome::error(251, "NoSuchTransaction", &["TransientTransactionError"])),
        case("an_older_number_is_too_old", [
            two(),
            In('a', first(increase(1), 5)),
            In('a', next(increase(1), 4)),
            In('a', first(increase(1), 4)),
            In('a', commit(4)),
            In('a', numbered(increase(2), 4)),
            In('a', commit(5)),
        ])
        .waive(2, SECANTUS_PY, "beginOrContinue in mongo/db/transaction/transaction_participant.cpp: TransactionTooOld for every older number", Outcome::error(225, "TransactionTooOld", &[]))
        .waive(4, SECANTUS_PY, "beginOrContinue in mongo/db/transaction/transaction_participant.cpp: TransactionTooOld for every older number", Outcome::error(225, "TransactionTooOld", &[]))
        .waive(5, SECANTUS_PY, "beginOrContinue in mongo/db/transaction/transaction_participant.cpp: TransactionTooOld for every older number", Outcome::error(225, "TransactionTooOld", &[]))
        .waive(7, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 0 }])),
        case("a_newer_number_ends_what_is_open", [
            two(),
            In('a', first(increase(1), 1)),
            In('a', first(increase(2), 2)),
            In('a', commit(2)),
            In('a', commit(1)),
            In('a', first(increase(1), 3)),
            In('a', numbered(increase(2), 4)),
            run(increase(1)),
            In('a', commit(3)),
        ])
        .waive(4, SECANTUS_PY, "beginOrContinue in mongo/db/transaction/transaction_participant.cpp: TransactionTooOld for every older number", Outcome::error(225, "TransactionTooOld", &[]))
        .waive(8, SECANTUS_PY, "beginOrContinue in mongo/db/transaction/transaction_participant.cpp: TransactionTooOld for every older number", Outcome::error(225, "TransactionTooOld", &[])),
        case("concerns_within_a_transaction", [
            two(),
            In('a', first(with(increase(1), doc! { "writeConcern": { "w": "majority" } }), 1)),
            In('a', first(increase(1), 2)),
            In('a', next(with(find(doc! {}), doc! { "readConcern": { "level": "local" } }), 2)),
            In('a', with(next(find(doc! {}), 3), doc! { "startTransaction": true, "readConcern": { "level": "linearizable" } })),
        ])
        .waive(4, SECANTUS_PY, "transactions support local, majority and snapshot (manual, Transactions and Read Concern)", Outcome::error(72, "InvalidOptions", &[])),
        case("words_of_a_transaction_that_make_no_sense", [
            two(),
            In('a', with(find(doc! {}), doc! { "autocommit": false })),
            In('a', with(find(doc! {}), doc! { "startTransaction": true })),
            In('a', with(numbered(increase(1), 1), doc! { "startTransaction": true })),
            In('a', with(numbered(increase(1), 2), doc! { "autocommit": true })),
            In('a', with(next(increase(1), 3), doc! { "startTransaction": false })),
            In('a', doc! { "commitTransaction": 1 }),
            In('a', doc! { "abortTransaction": 1 }),
            In('a', first(doc! { "drop": "c" }, 9)),
        ])
        .waive(1, SECANTUS_PY, "initializeOperationSessionInfo in mongo/db/initialize_operation_session_info.cpp", Outcome::error(72, "InvalidOptions", &[]))
        .waive(2, SECANTUS_PY, "as above", Outcome::error(72, "InvalidOptions", &[]))
        .waive(3, SECANTUS_PY, "as above", Outcome::error(72, "InvalidOptions", &[]))
        .waive(4, SECANTUS_PY, "as above", Outcome::error(72, "InvalidOptions", &[]))
        .waive(6, SECANTUS_PY, "mongo/db/commands/txn_cmds.cpp", Outcome::error(125, "CommandFailed", &[]))
        .waive(7, SECANTUS_PY, "as above", Outcome::error(125, "CommandFailed", &[]))
        .waive(9, SECANTUS_PY, "as above", Outcome::end([doc! { "_id": 1, "n": 0 }, doc! { "_id": 2, "n": 0 }]))
        .waive(5, SECANTUS_PY, "mongo/db/initialize_operation_session_info.cpp", Outcome::error(72, "InvalidOptions", &[]))
,
    ]
}
