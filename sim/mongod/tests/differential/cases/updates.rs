//! `update` outside of transactions: the operators, upserts, and what is refused.

use crate::case::*;
use crate::outcome::Outcome;
use crate::server::SECANTUS_PY;
use bson::{DateTime, doc};

pub fn cases() -> Vec<Case> {
    vec![
        case("fields_are_set_and_taken_away", [
            run(insert([doc! { "_id": 1, "a": 1, "b": { "x": 1 } }])),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "a": 2_i64, "b.x": 2, "b.y": 3 } })),
            run(update(
                doc! { "_id": 1 },
                doc! { "$set": { "c": null, "d": [1, 2] }, "$unset": { "a": 1, "gone": 1 } },
            )),
            run(update(doc! { "_id": 1 }, doc! { "$unset": { "b.x": "", "b.q.r": "" } })),
            run(find(doc! {})),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "e.f.g": 1 } })),
            run(update(doc! { "_id": 7 }, doc! { "$set": { "a": 2 } })),
        ]),
        case("new_fields_stand_in_the_order_of_their_names", [
            run(insert([doc! { "_id": 1 }])),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "z": 1, "b": 1 }, "$inc": { "c": 1, "a": 1 } })),
        ])
        .waive(
            2,
            SECANTUS_PY,
            "\"update operators process document fields with string-based names in lexicographic order\", MongoDB \
             manual, Update Operators; SecantusDB keeps the order of the command",
            Outcome::end([doc! { "_id": 1, "a": 1, "b": 1, "c": 1, "z": 1 }]),
        ),
        case("numbers_are_counted_in_the_wider_type", [
            run(insert([doc! { "_id": 1, "i": 1, "l": 1_i64, "d": 1.5, "max": i32::MAX }])),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "i": 1_i64, "l": 1, "d": 1, "max": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "i": -5, "new": 2_i64 } })),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "l": 0.5 } })),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "l": 0 } })),
        ]),
        case("what_can_not_be_counted", [
            run(insert([doc! { "_id": 1, "s": "x", "l": i64::MAX, "n": null }])),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "s": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "l": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$inc": { "a": "1" } })),
        ]),
        case("the_greater_and_the_lesser", [
            run(insert([doc! { "_id": 1, "t": DateTime::from_millis(5), "n": 5 }])),
            run(update(doc! { "_id": 1 }, doc! { "$max": { "t": DateTime::from_millis(4), "n": 6_i64 } })),
            run(update(doc! { "_id": 1 }, doc! { "$max": { "t": DateTime::from_millis(6), "new": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$min": { "n": 7 } })),
            run(update(doc! { "_id": 1 }, doc! { "$min": { "n": "text" } })),
            run(update(doc! { "_id": 1 }, doc! { "$max": { "n": "text" } })),
        ]),
        case("a_change_that_changes_nothing", [
            run(insert([doc! { "_id": 1, "a": 1 }])),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "a": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$unset": { "b": 1 }, "$max": { "a": 0 } })),
            run(update(doc! { "_id": 1 }, doc! { "a": 1 })),
            run(update(doc! { "_id": 1 }, doc! { "_id": 1, "a": 1 })),
            run(update(doc! { "_id": 1 }, doc! { "$set": {} })),
        ])
        .waive(
            3,
            SECANTUS_PY,
            "object_replacement_executor.cpp compares it as it came",
            Outcome::reply(doc! { "n": 1, "nModified": 1 }),
        ),
        case("an_upsert_begins_with_what_the_filter_says", [
            run(upsert(doc! { "_id": 1, "a": 2 }, doc! { "$setOnInsert": { "b": 3 }, "$inc": { "n": 1 } })),
            run(upsert(doc! { "_id": 1 }, doc! { "$setOnInsert": { "b": 9 }, "$inc": { "n": 1 } })),
            run(upsert(doc! { "_id": "k", "$or": [{ "t": { "$lte": 5 } }, { "h": 1 }] }, doc! { "$set": { "t": 6 } })),
            run(upsert(doc! { "_id": 5, "a": { "$gt": 1 } }, doc! { "$set": { "x": 1 } })),
            run(upsert(doc! { "_id": 6, "a": { "$eq": 1 } }, doc! { "whole": 1 })),
        ]),
        case("an_upsert_whose_id_is_taken", [
            run(insert([doc! { "_id": "lease", "until": 9 }])),
            run(upsert(doc! { "_id": "lease", "until": { "$lte": 5 } }, doc! { "$set": { "until": 10 } })),
        ]),
        case("many_at_once", [
            run(insert((1..=5).map(|id| doc! { "_id": id, "n": id % 2 }))),
            run(doc! { "update": "c", "updates": [{ "q": { "n": 1 }, "u": { "$set": { "a": 1 } }, "multi": true }] }),
            run(doc! { "update": "c", "updates": [
                { "q": { "_id": { "$in": [1, 2] } }, "u": { "$set": { "a": 1 } }, "multi": true },
                { "q": { "_id": 9 }, "u": { "$set": { "a": 1 } }, "upsert": true, "multi": false },
                { "q": { "_id": 10 }, "u": { "$set": { "a": 1 } } },
            ] }),
            run(doc! { "update": "c", "updates": [{ "q": {}, "u": { "a": 1 }, "multi": true }] }),
        ]),
        case("a_batch_of_updates_ends_at_its_first_error", [
            run(insert([doc! { "_id": 1, "s": "x" }, doc! { "_id": 2, "s": 1 }])),
            run(doc! { "update": "c", "updates": [
                { "q": { "_id": 2 }, "u": { "$inc": { "s": 1 } } },
                { "q": { "_id": 1 }, "u": { "$inc": { "s": 1 } } },
                { "q": { "_id": 2 }, "u": { "$inc": { "s": 1 } } },
            ] }),
            run(doc! { "update": "c", "ordered": false, "updates": [
                { "q": { "_id": 1 }, "u": { "$inc": { "s": 1 } } },
                { "q": { "_id": 2 }, "u": { "$inc": { "s": 1 } } },
            ] }),
        ]),
        case("changes_that_are_refused", [
            run(insert([doc! { "_id": 1, "a": 1 }])),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "_id": 2 } })),
            run(update(doc! { "_id": 1 }, doc! { "_id": 2, "a": 3 })),
            run(update(doc! { "_id": 1 }, doc! { "$frobnicate": { "a": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "b": 1 }, "$inc": { "b": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "b": 1, "b.c": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "a.b": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "b..c": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$set": { "": 1 } })),
            run(update(doc! { "_id": 1 }, doc! { "$set": 1 })),
            run(update(doc! { "_id": 1 }, doc! { "a": 1, "$set": { "b": 1 } })),
            run(update(doc! { "$frobnicate": 1 }, doc! { "$set": { "b": 1 } })),
            run(doc! { "update": "c", "updates": [{ "q": {}, "u": 7 }] }),
        ])
        .waive(
            9,
            SECANTUS_PY,
            "no internal error, but one of the caller's",
            Outcome::write_error("update", 9),
        ),
    ]
}
