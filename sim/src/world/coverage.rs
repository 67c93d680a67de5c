//! What the store's nodes ask of the members, as far as a batch of runs has to have lived through it.

use bson::{Bson, Document};
use gadwall_sim_mongod::repl::Observer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Where outcomes are recorded under the ids of their operations.
const OPERATIONS: &str = "operations";
const DUPLICATE_KEY: i64 = 11000;

/// Counts. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Coverage(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Transactions whose commit was asked for: session and number, as they were told.
    commits: BTreeSet<String>,
    commits_again: u64,
    known_operations: u64,
}

impl Coverage {
    pub fn marks(&self) -> BTreeMap<&'static str, u64> {
        let seen = self.0.lock().expect("no holder of the lock panics");
        BTreeMap::from([("commit retry", seen.commits_again), ("idempotent hit", seen.known_operations)])
    }
}

impl Observer for Coverage {
    fn answered(&self, command: &Document, answer: &Document) {
        let Some((name, of)) = command.iter().next() else { return };
        let mut seen = self.0.lock().expect("no holder of the lock panics");
        match (name.as_str(), of.as_str()) {
            ("commitTransaction", _) => {
                let which = format!("{:?} {:?}", command.get("lsid"), command.get("txnNumber"));
                let is_first = seen.commits.insert(which);
                seen.commits_again += u64::from(!is_first);
            }
            ("find", Some(OPERATIONS)) => seen.known_operations += u64::from(is_found_by_id(command, answer)),
            ("insert", Some(OPERATIONS)) => seen.known_operations += u64::from(is_refused_twice(answer)),
            _ => {}
        }
    }
}

/// Whoever looks for what is old does not ask by id.
fn is_found_by_id(command: &Document, answer: &Document) -> bool {
    let by_id = command.get_document("filter").is_ok_and(|filter| filter.contains_key("_id"));
    let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    by_id && batch.is_ok_and(|batch| !batch.is_empty())
}

fn is_refused_twice(answer: &Document) -> bool {
    let is_duplicate = |of: &Document| match of.get("code") {
        Some(Bson::Int32(code)) => i64::from(*code) == DUPLICATE_KEY,
        Some(Bson::Int64(code)) => *code == DUPLICATE_KEY,
        _ => false,
    };
    let errors = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    is_duplicate(answer) || errors.into_iter().any(is_duplicate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn repetitions_are_counted_and_nothing_else() {
        let coverage = Coverage::default();
        let found = |n| doc! { "ok": 1.0, "cursor": { "firstBatch": vec![doc! { "_id": 1 }; n] } };
        let commit = |number: i64| doc! { "commitTransaction": 1, "lsid": { "id": 1 }, "txnNumber": number };
        let by_id = || doc! { "find": "operations", "filter": { "_id": { "$in": [1] } } };
        let refused = || doc! { "ok": 0.0, "code": 11000 };
        for (command, answer, marks) in [
            (commit(1), doc! {}, [0, 0]),
            (commit(2), doc! {}, [0, 0]),
            (commit(1), doc! {}, [1, 0]),
            (by_id(), found(0), [1, 0]),
            (by_id(), found(1), [1, 1]),
            (doc! { "find": "operations", "filter": { "at": 1 } }, found(1), [1, 1]),
            (doc! { "insert": "operations" }, doc! { "ok": 1.0 }, [1, 1]),
            (doc! { "insert": "operations" }, refused(), [1, 2]),
            (doc! { "insert": "accounts" }, refused(), [1, 2]),
        ] {
            coverage.answered(&command, &answer);
            assert_eq!(coverage.marks().into_values().collect::<Vec<_>>(), marks, "{command}");
        }
    }
}
