//! Conflicts, commits and what becomes of transactions in a failover.

use super::*;

const TRANSIENT: &str = "TransientTransactionError";
const RETRYABLE: &str = "RetryableWriteError";

#[test]
fn the_first_of_two_writers_wins_at_once() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    let refused = node.run(within(increase(1), 2, 1, true));
    assert_eq!((code(&refused), labels(&refused)), (112, vec![TRANSIENT]));
    node.runs(commit(1, 1));
    let gone = node.run(commit(2, 1));
    assert_eq!((code(&gone), labels(&gone)), (251, vec![TRANSIENT]), "an error has ended it");
}

#[test]
fn what_was_committed_after_the_snapshot_is_a_conflict_too() {
    let mut node = Node::new();
    node.runs(insert(1));
    assert_eq!(batch(&node.runs(within(find(doc! {}), 1, 1, true)))[0].get_i32("n").unwrap(), 0);
    node.runs(increase(1));
    node.runs(insert(2));
    node.commit_all();
    let seen = batch(&node.runs(within(find(doc! {}), 1, 1, false)));
    assert_eq!(seen, [doc! { "_id": 1, "n": 0 }], "the snapshot stays, also when old versions may go");
    assert_eq!(code(&node.run(within(insert(2), 1, 1, false))), 112);
    node.runs(within(find(doc! {}), 1, 2, true));
    node.runs(doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] });
    node.commit_all();
    assert_eq!(code(&node.run(within(increase(1), 1, 2, false))), 112, "a deletion is a change");
}

#[test]
fn an_update_that_changes_nothing_conflicts_with_nothing() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    let same = doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "n": 0 } } }] };
    let reply = node.runs(within(same, 2, 1, true));
    assert_eq!((reply.get_i32("n").unwrap(), reply.get_i32("nModified").unwrap()), (1, 0));
}

#[test]
fn a_transaction_sees_what_it_has_written_and_nobody_else_does() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(insert(3));
    node.runs(within(insert(2), 1, 1, true));
    node.runs(within(doc! { "delete": "c", "deletes": [{ "q": { "_id": 3 }, "limit": 0 }] }, 1, 1, false));
    let descending = doc! { "find": "c", "filter": { "_id": { "$gte": 1 } }, "sort": { "_id": -1 } };
    assert_eq!(node.ids(within(descending, 1, 1, false)), [2, 1]);
    assert_eq!(node.ids(find(doc! {})), [1, 3]);
    let before = node.log.entries.len();
    node.runs(commit(1, 1));
    assert_eq!(node.log.entries.len(), before + 1, "all of it is one entry");
    assert_eq!(node.ids(find(doc! {})), [1, 2]);
}

#[test]
fn a_write_outside_waits_for_the_transaction() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    let batch = doc! { "insert": "c", "documents": [{ "_id": 5 }] };
    node.runs(batch);
    let two = doc! { "update": "c", "updates": [
        { "q": { "_id": 5 }, "u": { "$inc": { "n": 1 } } }, { "q": { "_id": 1 }, "u": { "$inc": { "n": 1 } } },
    ] };
    let before = node.log.entries.len();
    assert!(node.turn(two.clone()).is_none());
    assert_eq!(node.log.entries.len(), before, "nothing is done of what is run again");
    node.runs(commit(1, 1));
    node.runs(two);
    let n = |d: &Document| d.get_i32("n").unwrap();
    assert_eq!(super::batch(&node.runs(find(doc! {}))).iter().map(n).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_commit_is_repeated_here_and_by_the_next_primary() {
    let mut node = Node::new();
    node.runs(within(insert(1), 1, 1, true));
    node.runs(commit(1, 1));
    let again = node.answer(commit(1, 1));
    assert_eq!(again.wait.as_ref().unwrap().wait.at, node.log.last());
    assert!(is_ok(&again.finish(Ok(()))));
    let mut next = node.successor(1);
    next.runs(commit(1, 1));
    assert_eq!(next.ids(find(doc! {})), [1]);
    assert_eq!(code(&next.run(within(find(doc! {}), 1, 1, false))), 256);
    let mut without = node.successor(0);
    let unknown = without.run(commit(1, 1));
    assert_eq!((code(&unknown), labels(&unknown)), (251, vec![TRANSIENT]));
}

/// Only what can't come back by a rollback may be tried anew.
#[test]
fn that_a_transaction_is_unknown_counts_only_after_the_write_concern() {
    let mut node = Node::new();
    node.runs(insert(1));
    let answer = node.answer(commit(1, 1));
    assert!(answer.wait.as_ref().unwrap().wait.majority);
    let reply = answer.finish(stepped_down());
    assert_eq!((code(&reply), labels(&reply)), (251, vec![RETRYABLE]));
    assert_eq!(code(reply.get_document("writeConcernError").unwrap()), 189);
}

#[test]
fn a_commit_whose_wait_fails_may_be_repeated() {
    let mut node = Node::new();
    node.runs(within(insert(1), 1, 1, true));
    let reply = node.answer(commit(1, 1)).finish(stepped_down());
    assert!(is_ok(&reply));
    assert_eq!(code(reply.get_document("writeConcernError").unwrap()), 189);
    assert_eq!(labels(&reply), [RETRYABLE]);
}

#[test]
fn who_steps_down_forgets_what_is_open() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    node.log.term = None;
    let refused = node.run(within(increase(1), 1, 1, false));
    assert_eq!((code(&refused), labels(&refused)), (10107, vec![TRANSIENT]));
    let refused = node.run(commit(1, 1));
    assert_eq!((code(&refused), labels(&refused)), (10107, vec![RETRYABLE]), "it may have been committed");
    node.log.term = Some(3);
    let gone = node.run(within(increase(1), 1, 1, false));
    assert_eq!((code(&gone), labels(&gone)), (251, vec![TRANSIENT]));
    node.runs(increase(1));
}

/// Also when nothing was asked of it in between.
#[test]
fn a_primary_of_a_later_term_has_no_transaction_of_an_earlier() {
    let mut node = Node::new();
    node.runs(within(insert(1), 1, 1, true));
    node.log.term = Some(3);
    assert_eq!(code(&node.run(commit(1, 1))), 251);
    assert_eq!(node.ids(find(doc! {})), Vec::<i32>::new());
}

#[test]
fn a_transaction_lives_so_long_and_no_longer() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    node.now_ms += 60_000;
    assert!(node.turn(increase(1)).is_none());
    node.now_ms += 1;
    node.runs(increase(1));
    assert_eq!(code(&node.run(commit(1, 1))), 251);
}

#[test]
fn an_abort_is_without_effect_and_may_come_twice() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    let abort = || within(doc! { "abortTransaction": 1 }, 1, 1, false);
    node.runs(abort());
    assert_eq!(code(&node.run(abort())), 251);
    node.runs(increase(1));
    assert_eq!(node.log.entries.len(), 2);
}

/// What it has read may not be on a majority yet: it is once a no-op behind it is.
#[test]
fn the_commit_of_a_reader_writes_a_noop_and_waits_for_it() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(find(doc! {}), 1, 1, true));
    let answer = node.answer(commit(1, 1));
    assert_eq!(node.log.entries.last().unwrap().body, Body::Noop);
    assert_eq!(answer.wait.unwrap().wait, Wait { at: node.log.last(), majority: true, journal: true });
    node.runs(commit(1, 1));
}

#[test]
fn a_newer_number_ends_what_is_open_and_an_older_is_refused() {
    let mut node = Node::new();
    node.runs(insert(1));
    node.runs(within(increase(1), 1, 1, true));
    node.runs(within(increase(1), 1, 2, true));
    assert_eq!(code(&node.run(within(increase(1), 1, 1, false))), 225);
    assert_eq!(code(&node.run(within(increase(1), 1, 2, true))), 117);
    let mut node = Node::new();
    node.runs(within(insert(1), 1, 1, true));
    let unknown = node.run(within(insert(2), 1, 5, false));
    assert_eq!((code(&unknown), labels(&unknown)), (251, vec![TRANSIENT]));
}

#[test]
fn a_duplicate_key_ends_the_transaction() {
    let mut node = Node::new();
    node.runs(insert(1));
    let reply = node.run(within(insert(1), 1, 1, true));
    let error = reply.get_array("writeErrors").unwrap()[0].as_document().unwrap();
    assert_eq!((code(error), error.get_document("keyValue").unwrap()), (11000, &doc! { "_id": 1 }));
    assert_eq!(code(&node.run(commit(1, 1))), 251);
}
