//! Read concerns, cursors, and what is refused.

use super::*;

fn at_level(level: &str) -> Document {
    doc! { "find": "c", "filter": {}, "readConcern": { "level": level } }
}

#[test]
fn a_majority_read_sees_what_a_majority_has() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.commit_all();
    node.runs(insert(2));
    node.runs(increase(1));
    assert_eq!(node.ids(at_level("local")), [1, 2]);
    assert_eq!(batch(&node.runs(at_level("majority"))), [doc! { "_id": 1, "n": 0 }]);
    node.commit_all();
    assert_eq!(node.ids(at_level("majority")), [1, 2]);
}

#[test]
fn a_linearizable_read_has_to_prove_itself() {
    let mut node = Node::new();
    node.runs(insert(1));
    let answer = node.answer(at_level("linearizable"));
    assert_eq!(node.log.entries.last().unwrap().body, Body::Noop);
    assert_eq!(answer.wait.as_ref().unwrap().wait.at, node.log.last());
    let refused = answer.finish(stepped_down());
    assert_eq!((is_ok(&refused), code(&refused)), (false, 189));
    assert!(!refused.contains_key("cursor"), "what was read is not told");
}

#[test]
fn a_secondary_answers_only_who_wants_it_to() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.log.term = None;
    assert_eq!(code(&node.run(find(doc! {}))), 13435);
    let mut nearest = find(doc! {});
    nearest.insert("$readPreference", doc! { "mode": "nearest" });
    assert_eq!(node.ids(nearest), [1]);
    assert_eq!(code(&node.run(doc! { "create": "d" })), 10107);
}

/// A session that has seen the next primary's time is not answered by one that was left behind.
#[test]
fn a_read_waits_for_the_time_that_its_session_has_seen() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.commit_all();
    let after = |at: OpTime| {
        doc! { "find": "c", "readConcern": { "level": "majority", "afterClusterTime": at.timestamp() } }
    };
    node.runs(after(node.log.last()));
    assert!(node.turn(after(OpTime { term: 2, index: 1 })).is_none());
    assert!(node.turn(after(OpTime { term: 1, index: 4 })).is_none());
    assert_eq!(node.log.last().index, 4, "its own time a primary brings forward");
    node.commit_all();
    node.runs(after(OpTime { term: 1, index: 4 }));
}

#[test]
fn a_cursor_is_read_to_its_end_by_its_session_only() {
    let mut node = Node::new();
    let documents: Vec<Document> = (0..250).map(|id| doc! { "_id": id }).collect();
    node.runs(doc! { "insert": "c", "documents": documents });
    let first = node.runs(doc! { "find": "c", "lsid": lsid(1) });
    let id = first.get_document("cursor").unwrap().get_i64("id").unwrap();
    assert_eq!(batch(&first).len(), 101);
    let more = |session| doc! { "getMore": id, "collection": "c", "batchSize": 100, "lsid": lsid(session) };
    assert_eq!(code(&node.run(more(2))), 13);
    assert_eq!(batch(&node.runs(more(1))).len(), 100);
    let last = node.runs(more(1));
    assert_eq!((batch(&last).len(), last.get_document("cursor").unwrap().get_i64("id").unwrap()), (49, 0));
    assert_eq!(code(&node.run(more(1))), 43);
    assert_eq!(node.ids(doc! { "find": "c", "limit": 2, "sort": { "_id": -1 } }), [249, 248]);
}

#[test]
fn ranges_and_lists_of_ids_are_answered_in_order() {
    let mut node = Node::new();
    let documents: Vec<Document> = [5, 1, 4, 2, 3].map(|id| doc! { "_id": id, "m": 9 - id }).into();
    node.runs(doc! { "insert": "c", "documents": documents });
    assert_eq!(node.ids(find(doc! { "_id": { "$gt": 1, "$lte": 4 } })), [2, 3, 4]);
    assert_eq!(node.ids(find(doc! { "_id": { "$gte": 4, "$lt": 2 } })), Vec::<i32>::new());
    assert_eq!(node.ids(find(doc! { "_id": { "$in": [4, 7, 1] }, "m": { "$gte": 8 } })), [1]);
    assert_eq!(node.ids(doc! { "find": "c", "sort": { "m": 1 }, "limit": 2 }), [5, 4]);
    let shown =
        batch(&node.runs(doc! { "find": "c", "filter": { "_id": 1 }, "projection": { "m": 1, "_id": 0 } }));
    assert_eq!(shown, [doc! { "m": 8 }]);
}

#[test]
fn what_is_unknown_is_refused_by_name() {
    let mut node = Node::new();
    for (command, expected, name) in [
        (
            doc! { "aggregate": "c", "pipeline": [{ "$match": {} }, { "$out": "d" }], "cursor": {} },
            40324,
            "$out",
        ),
        (doc! { "mapReduce": "c" }, 59, "mapReduce"),
        (doc! { "find": "c", "hint": "x" }, 40415, "hint"),
        (doc! { "find": "c", "filter": { "a": { "$regex": "x" } } }, 2, "$regex"),
        (doc! { "find": "c", "sort": { "a": "up" } }, 15974, "up"),
        (doc! { "find": "c", "projection": { "a": { "$slice": 1 } } }, 2, "projection"),
        (doc! { "find": "c", "readConcern": { "level": "psychic" } }, 2, "psychic"),
        (doc! { "insert": "c", "documents": [{}], "writeConcern": { "w": 2 } }, 2, "w: 2"),
        (doc! { "create": "c", "capped": true }, 40415, "capped"),
        (
            doc! { "createIndexes": "c", "indexes": [{ "key": { "a": 1 }, "name": "a", "unique": true }] },
            197,
            "unique",
        ),
        (doc! { "findAndModify": "c", "query": {}, "update": { "$push": { "a": 1 } } }, 9, "$push"),
        (
            doc! { "update": "c", "updates": [{ "q": {}, "u": {}, "arrayFilters": [] }] },
            40415,
            "arrayFilters",
        ),
        (doc! { "hello": 1, "topologyVersion": {} }, 40415, "topologyVersion"),
    ] {
        let reply = node.run(command);
        assert_eq!(code(&reply), expected, "{reply}");
        assert!(reply.get_str("errmsg").unwrap().contains(name), "{reply}");
    }
    assert_eq!(node.log.entries.len(), 0);
}

#[test]
fn documents_have_a_limit_and_batches_go_on_if_told_to() {
    let mut node = Node::new();
    let large = Binary { subtype: BinarySubtype::Generic, bytes: vec![0; 16 << 20] };
    let documents =
        vec![doc! { "_id": 1 }, doc! { "_id": 1 }, doc! { "_id": 2, "x": large }, doc! { "_id": 3 }];
    let reply = node.run(doc! { "insert": "c", "documents": documents, "ordered": false });
    let errors: Vec<(i32, i32)> = reply
        .get_array("writeErrors")
        .unwrap()
        .iter()
        .map(|e| {
            let e = e.as_document().unwrap();
            (e.get_i32("index").unwrap(), code(e))
        })
        .collect();
    assert_eq!((reply.get_i32("n").unwrap(), errors), (2, vec![(1, 11000), (2, 10334)]));
    let ordered = doc! { "insert": "c", "documents": [{ "_id": 4 }, { "_id": 4 }, { "_id": 5 }] };
    assert_eq!(node.run(ordered).get_i32("n").unwrap(), 1);
    let upsert = doc! { "update": "c", "updates": [{ "q": { "_id": 9 }, "u": { "$max": { "n": 1 } }, "upsert": true }] };
    let reply = node.runs(upsert);
    assert_eq!(
        reply.get_array("upserted").unwrap()[0].as_document().unwrap(),
        &doc! { "index": 0, "_id": 9 }
    );
}
