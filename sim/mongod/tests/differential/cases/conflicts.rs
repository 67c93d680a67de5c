//! Transactions that meet others, and writers outside of any.

use super::transactions::{increase, take, two};
use crate::case::*;
use crate::script::Step::{Abort, Begin, Behind, Commit, In, Join};
use bson::doc;

pub fn cases() -> Vec<Case> {
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
