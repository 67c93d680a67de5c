//! Retryable writes, rollback, and fail points.

use super::*;

fn modify() -> Document {
    doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } }, "upsert": true, "new": true }
}

fn without_times(mut reply: Document) -> Document {
    reply.remove("operationTime");
    reply.remove("$clusterTime");
    reply
}

#[test]
fn a_retry_is_answered_from_what_was_done_by_the_next_primary_too() {
    let mut node = Node::new();
    let first = without_times(node.runs(retryable(modify(), 1, 1)));
    assert_eq!(first.get_document("value").unwrap(), &doc! { "_id": 1, "n": 1 });
    assert_eq!(without_times(node.runs(retryable(modify(), 1, 1))), first);
    let mut next = node.successor(1);
    assert_eq!(without_times(next.runs(retryable(modify(), 1, 1))), first);
    next.runs(retryable(modify(), 1, 2));
    assert_eq!(code(&next.run(retryable(modify(), 1, 1))), 225);
    let mut without = node.successor(0);
    assert_eq!(without_times(without.runs(retryable(modify(), 1, 1))), first, "done now, for the first time");
}

#[test]
fn a_batch_goes_on_where_a_failover_broke_it_off() {
    let mut node = Node::new();
    let three = doc! { "insert": "c", "documents": [{ "_id": 1 }, { "_id": 2 }, { "_id": 3 }] };
    assert_eq!(node.runs(retryable(three.clone(), 1, 1)).get_i32("n").unwrap(), 3);
    assert_eq!(node.log.entries.len(), 3, "each document may be lost by itself");
    let mut next = node.successor(2);
    assert_eq!(next.ids(find(doc! {})), [1, 2]);
    assert_eq!(next.runs(retryable(three, 1, 1)).get_i32("n").unwrap(), 3);
    assert_eq!(next.ids(find(doc! {})), [1, 2, 3]);
}

#[test]
fn an_update_of_many_is_an_entry_for_each() {
    let mut node = Node::new();
    node.runs(doc! { "insert": "c", "documents": [{ "_id": 1 }, { "_id": 2 }] });
    let many =
        || doc! { "update": "c", "updates": [{ "q": {}, "u": { "$inc": { "n": 1 } }, "multi": true }] };
    assert_eq!(node.runs(many()).get_i32("nModified").unwrap(), 2);
    assert_eq!(node.log.entries.len(), 4);
    let refused = node.run(retryable(many(), 1, 1));
    let error = refused.get_array("writeErrors").unwrap()[0].as_document().unwrap();
    assert_eq!((code(error), refused.get_i32("n").unwrap()), (72, 0));
}

#[test]
fn a_rollback_takes_documents_and_what_sessions_remember() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n" }] });
    node.commit_all();
    let to = node.log.last();
    node.runs(retryable(increase(1), 1, 1));
    node.runs(insert(2));
    node.runs(within(insert(3), 2, 1, true));
    node.runs(commit(2, 1));
    node.runs(doc! { "drop": "c" });
    assert_eq!(node.ids(find(doc! {})), Vec::<i32>::new());
    node.log.entries.truncate(to.index as usize);
    node.engine.rollback_to(to);
    node.log.term = Some(2);
    assert_eq!(batch(&node.runs(find(doc! {}))), [doc! { "_id": 1, "n": 0 }]);
    assert_eq!(batch(&node.runs(doc! { "listIndexes": "c" })).len(), 2);
    assert_eq!(code(&node.run(commit(2, 1))), 251);
    node.runs(retryable(increase(1), 1, 1));
    assert_eq!(
        batch(&node.runs(find(doc! {}))),
        [doc! { "_id": 1, "n": 1 }],
        "not answered from what is undone"
    );
    for _ in 0..5 {
        node.runs(doc! { "insert": "other", "documents": [{}] });
        assert_eq!(node.ids(find(doc! {})), [1], "it doesn't come back when the log has come as far again");
    }
}

#[test]
fn old_versions_and_records_go_once_committed() {
    let mut node = Node::new();
    node.runs(insert(1));
    for number in 1..=50 {
        node.runs(retryable(increase(1), 1, number));
    }
    node.runs(retryable(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 1 }] }, 1, 51));
    node.commit_all();
    let debug = format!("{:?}", node.engine);
    assert!(debug.len() < 2000, "{debug}");
    assert_eq!(code(&node.run(retryable(increase(1), 1, 50))), 225, "the last number is kept");
}

#[test]
fn errors_that_pass_are_labelled_for_a_retry() {
    let mut node = Node::new();
    node.log.term = None;
    let refused = node.run(retryable(insert(1), 1, 1));
    assert_eq!((code(&refused), labels(&refused)), (10107, vec!["RetryableWriteError"]));
    assert_eq!(labels(&node.run(insert(1))), Vec::<&str>::new(), "of what is no retryable write, not");
    let mut node = Node::new();
    let reply = node.answer(retryable(insert(1), 1, 1)).finish(stepped_down());
    assert_eq!((is_ok(&reply), labels(&reply)), (true, vec!["RetryableWriteError"]));
    let reply = node.answer(retryable(insert(2), 1, 2)).finish(Err(Unsettled::TimedOut));
    let error = reply.get_document("writeConcernError").unwrap();
    assert_eq!((code(error), labels(&reply)), (64, vec![]), "a time-out says nothing against the primary");
}

#[test]
fn fail_points_strike_so_often_and_what_they_say_is_said() {
    let mut node = Node::new();
    let data = doc! { "failCommands": ["insert"], "errorCode": 10107 };
    node.runs(doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data });
    let command = retryable(insert(1), 1, 1);
    assert_eq!(node.engine.fault(&find(doc! {})).refusal, None);
    let fault = node.engine.fault(&command);
    let reply = Answer::refused(fault.refusal.clone().unwrap(), &command).faulty(&fault).finish(Ok(()));
    assert_eq!((code(&reply), labels(&reply)), (10107, vec!["RetryableWriteError"]));
    assert_eq!(node.engine.fault(&command).refusal, None);
    let data = doc! { "failCommands": ["insert"], "errorCode": 10107, "errorLabels": ["Mine"] };
    node.runs(doc! { "configureFailPoint": "failCommand", "mode": { "skip": 1 }, "data": data });
    assert_eq!(node.engine.fault(&command).refusal, None);
    let fault = node.engine.fault(&command);
    let reply = Answer::refused(fault.refusal.clone().unwrap(), &command).faulty(&fault).finish(Ok(()));
    assert_eq!(labels(&reply), ["Mine"]);
    let other = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": { "failCommands": [], "x": 1 } };
    assert_eq!(code(&node.run(other)), 40415);
}
