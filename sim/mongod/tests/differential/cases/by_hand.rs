//! Transactions made by hand, as no driver would: what their numbers and words are worth.

use super::transactions::{increase, two};
use crate::case::*;
use crate::outcome::Outcome;
use crate::script::Step::In;
use crate::server::SECANTUS_PY;
use bson::doc;

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "a_commit_may_be_repeated_and_an_abort_not",
            [
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
            ],
        )
        .waive(8, SECANTUS_PY, "mongo/db/error_labels.cpp", unknown()),
        case(
            "transactions_that_nobody_has_begun",
            [
                two(),
                In('a', next(increase(1), 1)),
                In('a', commit(1)),
                In('a', abort(1)),
                In('b', first(find(doc! {}), 5)),
                In('b', next(find(doc! {}), 6)),
                In('b', next(find(doc! {}), 5)),
                In('b', commit(5)),
            ],
        )
        .waive(3, SECANTUS_PY, "mongo/db/error_labels.cpp", unknown()),
        case(
            "an_older_number_is_too_old",
            [
                two(),
                In('a', first(increase(1), 5)),
                In('a', next(increase(1), 4)),
                In('a', first(increase(1), 4)),
                In('a', commit(4)),
                In('a', numbered(increase(2), 4)),
                In('a', commit(5)),
            ],
        )
        .waive(2, SECANTUS_PY, PARTICIPANT, too_old())
        .waive(4, SECANTUS_PY, PARTICIPANT, too_old())
        .waive(5, SECANTUS_PY, PARTICIPANT, too_old())
        .waive(
            7,
            SECANTUS_PY,
            "as above",
            Outcome::end([doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 0 }]),
        ),
        case(
            "a_newer_number_ends_what_is_open",
            [
                two(),
                In('a', first(increase(1), 1)),
                In('a', first(increase(2), 2)),
                In('a', commit(2)),
                In('a', commit(1)),
                In('a', first(increase(1), 3)),
                In('a', numbered(increase(2), 4)),
                run(increase(1)),
                In('a', commit(3)),
            ],
        )
        .waive(4, SECANTUS_PY, PARTICIPANT, too_old())
        .waive(8, SECANTUS_PY, PARTICIPANT, too_old()),
        case(
            "concerns_within_a_transaction",
            [
                two(),
                In('a', first(with(increase(1), doc! { "writeConcern": { "w": "majority" } }), 1)),
                In('a', first(increase(1), 2)),
                In('a', next(with(find(doc! {}), doc! { "readConcern": { "level": "local" } }), 2)),
                In(
                    'a',
                    with(
                        next(find(doc! {}), 3),
                        doc! { "startTransaction": true, "readConcern": { "level": "linearizable" } },
                    ),
                ),
            ],
        )
        .waive(4, SECANTUS_PY, "manual, Transactions and Read Concern", invalid()),
        case(
            "what_is_refused_before_it_runs_ends_no_transaction",
            [
                two(),
                In('a', first(increase(1), 1)),
                In('a', next(with(find(doc! {}), doc! { "readConcern": { "level": "local" } }), 1)),
                In('a', next(doc! { "listIndexes": "c" }, 1)),
                In('a', next(with(find(doc! {}), doc! { "frobnicate": 1 }), 1)),
                In('a', commit(1)),
            ],
        )
        .waive(4, SECANTUS_PY, COMMANDS_NOT_ALLOWED, Outcome::error(40415, "IDLUnknownField", &[]))
        .waive(5, SECANTUS_PY, COMMANDS_NOT_ALLOWED, Outcome::reply(doc! {}))
        .waive(
            6,
            SECANTUS_PY,
            "as above",
            Outcome::end([doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 0 }]),
        ),
        case(
            "words_of_a_transaction_that_make_no_sense",
            [
                two(),
                In('a', with(find(doc! {}), doc! { "autocommit": false })),
                In('a', with(find(doc! {}), doc! { "startTransaction": true })),
                In('a', with(numbered(increase(1), 1), doc! { "startTransaction": true })),
                In('a', with(numbered(increase(1), 2), doc! { "autocommit": true })),
                In('a', with(next(increase(1), 3), doc! { "startTransaction": false })),
                In('a', doc! { "commitTransaction": 1 }),
                In('a', doc! { "abortTransaction": 1 }),
                In('a', first(doc! { "drop": "c" }, 9)),
            ],
        )
        .waive(1, SECANTUS_PY, SESSION_INFO, invalid())
        .waive(2, SECANTUS_PY, "as above", invalid())
        .waive(3, SECANTUS_PY, "as above", invalid())
        .waive(4, SECANTUS_PY, "as above", invalid())
        .waive(6, SECANTUS_PY, "mongo/db/commands/txn_cmds.cpp", Outcome::error(125, "CommandFailed", &[]))
        .waive(7, SECANTUS_PY, "as above", Outcome::error(125, "CommandFailed", &[]))
        .waive(
            9,
            SECANTUS_PY,
            "as above",
            Outcome::end([doc! { "_id": 1, "n": 0 }, doc! { "_id": 2, "n": 0 }]),
        )
        .waive(5, SECANTUS_PY, SESSION_INFO, invalid()),
    ]
}
