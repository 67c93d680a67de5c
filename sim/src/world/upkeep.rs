//! What a look inside the members says of the cleaning up: whether whoever took something away had the lease at that
//! moment, and whether everything is gone in the end whose time has come.
//!
//! Knows the collections of the store that is simulated, as nobody else here does.

use bson::Document;
use gadwall_sim_mongod::oplog::{Body, Entry, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is taken away without anybody's operation: only one node at a time may.
const KEPT: [&str; 10] = [
    "accounts",
    "blobs",
    "changes",
    "chunks",
    "contents",
    "deltas",
    "garbage",
    "mailboxes",
    "messages",
    "purges",
];
/// Where the database's names begin.
const DATABASE: &str = "gadwall.";
/// The lease that is needed for it.
const SWEEP: &str = "sweep";

/// What the committed log says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    pub findings: Vec<String>,
    pub marks: BTreeMap<&'static str, u64>,
}

/// What one entry does, as far as it matters here.
#[derive(Debug, Default)]
struct Step<'a> {
    taken: BTreeSet<&'a str>,
    /// Somebody's operation is recorded along with it.
    is_asked_for: bool,
    /// Holder and token of the lease, if it is written.
    lease: Option<(Vec<u8>, i64)>,
}

impl<'a> Step<'a> {
    fn of(entry: &'a Entry) -> Self {
        let mut step = Step::default();
        let Body::Write { ops, .. } = &entry.body else { return step };
        for op in ops {
            match op {
                Op::Delete { ns, .. } => {
                    let name = ns.strip_prefix(DATABASE).filter(|name| KEPT.contains(name));
                    step.taken.extend(name);
                }
                Op::Put { ns, document } => match ns.strip_prefix(DATABASE) {
                    Some("operations") => step.is_asked_for = true,
                    Some("leases") if document.get_str("_id").is_ok_and(|id| id == SWEEP) => {
                        let holder = document.get_binary_generic("holder").cloned().unwrap_or_default();
                        step.lease = document.get_i64("token").ok().map(|token| (holder, token));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        step
    }
}

/// Goes through all that was ever committed: each transaction that takes something away by itself writes the lease too,
/// with the highest token given out so far, so that it excludes those of whoever had the lease before.
pub fn read(log: &[Entry]) -> Upkeep {
    let mut upkeep = Upkeep::default();
    for mark in ["expiry swept", "content collected", "lease taken over"] {
        upkeep.marks.insert(mark, 0);
    }
    let (mut holder, mut highest) = (Vec::new(), 0);
    for entry in log {
        let step = Step::of(entry);
        let fenced = step.lease.as_ref().is_some_and(|(_, token)| *token >= highest);
        if let Some((by, token)) = step.lease {
            let taken_over = !holder.is_empty() && holder != by;
            *upkeep.marks.entry("lease taken over").or_default() += u64::from(taken_over);
            (holder, highest) = (by, highest.max(token));
        }
        if step.taken.is_empty() || step.is_asked_for {
            continue;
        }
        if !fenced {
            let taken = &step.taken;
            upkeep
                .findings
                .push(format!("not fenced: {:?} takes from {taken:?} without the lease", entry.at));
        }
        let took = |names: &[&str]| u64::from(names.iter().any(|name| step.taken.contains(name)));
        *upkeep.marks.entry("expiry swept").or_default() += took(&["messages", "accounts"]);
        *upkeep.marks.entry("content collected").or_default() += took(&["contents", "blobs"]);
    }
    upkeep
}

/// By which time what should have been gone.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// By all nodes' clocks, what expires by then is gone. In milliseconds since 1970.
    pub expired_ms: i64,
    pub garbage_age: Duration,
}

/// What is there that could have been gone.
#[derive(Debug, Default)]
pub struct Left {
    /// How many documents of each collection their time has come for.
    due: Vec<(&'static str, usize)>,
    /// Those that wait without a time, by collection and `_id`: each for the next sweep, whenever it was made.
    waiting: BTreeSet<(&'static str, String)>,
}

/// Looks for what is left whose time has come.
pub fn left(documents: &BTreeMap<String, Vec<Document>>, due: Due) -> Left {
    let age = i64::try_from(due.garbage_age.as_millis()).unwrap_or(i64::MAX);
    let until = |name, field, ms| {
        let all = documents.get(&format!("{DATABASE}{name}"));
        let old = all.into_iter().flatten().filter_map(|d| d.get_datetime(field).ok());
        let old = old.filter(|at| at.timestamp_millis() <= ms);
        (name, old.count())
    };
    let dated = [
        until("accounts", "expires", due.expired_ms),
        until("messages", "expires", due.expired_ms),
        until("garbage", "at", due.expired_ms - age),
        until("blobs", "check", due.expired_ms),
    ];
    let waiting = ["purges", "deltas"].into_iter().flat_map(|name| {
        let all = documents.get(&format!("{DATABASE}{name}")).into_iter().flatten();
        all.map(move |document| (name, format!("{:?}", document.get("_id"))))
    });
    Left { due: dated.into_iter().filter(|(_, count)| *count > 0).collect(), waiting: waiting.collect() }
}

impl Left {
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// One finding for each collection in which something is left. Of what waits without a time only that counts which
    /// is still there when it is looked at again, so much later that a sweep must have come by.
    pub fn findings(mut self, later: &Left) -> Vec<String> {
        self.waiting.retain(|waiting| later.waiting.contains(waiting));
        for name in ["purges", "deltas"] {
            let count = self.waiting.iter().filter(|(collection, _)| *collection == name).count();
            self.due.extend((count > 0).then_some((name, count)));
        }
        let told = |(name, count)| format!("left behind: {count} of {name}, whose time has come");
        self.due.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::spec::BinarySubtype;
    use bson::{Binary, Bson, DateTime, doc};
    use gadwall_sim_mongod::OpTime;

    fn put(collection: &str, document: Document) -> Op {
        Op::Put { ns: format!("{DATABASE}{collection}"), document }
    }

    fn delete(collection: &str) -> Op {
        Op::Delete { ns: format!("{DATABASE}{collection}"), id: Bson::Int32(1) }
    }

    fn lease(holder: u8, token: i64) -> Op {
        let holder = Binary { subtype: BinarySubtype::Generic, bytes: vec![holder] };
        put("leases", doc! { "_id": SWEEP, "holder": holder, "token": token })
    }

    fn log(steps: Vec<Vec<Op>>) -> Upkeep {
        let entry = |(at, ops)| {
            let at = OpTime { term: 1, index: at };
            Entry { at, wall_ms: 0, body: Body::Write { ops, session: None } }
        };
        read(&(1..).zip(steps).map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn whoever_collects_has_the_lease() {
        let operation = || put("operations", doc! { "_id": 1 });
        let sound = vec![
            vec![lease(1, 1)],
            vec![delete("messages"), lease(1, 1)],
            vec![delete("messages"), operation()],
            vec![lease(2, 2)],
            vec![delete("contents"), delete("garbage"), lease(2, 2)],
        ];
        let upkeep = log(sound.clone());
        assert_eq!(upkeep.findings, [""; 0]);
        assert_eq!(upkeep.marks.values().copied().collect::<Vec<u64>>(), [1, 1, 1]);
        for unfenced in [vec![delete("messages")], vec![delete("blobs"), lease(1, 1)]] {
            let upkeep = log(sound.iter().cloned().chain([unfenced]).collect());
            assert_eq!(upkeep.findings.len(), 1, "{:?}", upkeep.findings);
        }
    }

    #[test]
    fn nothing_is_left_whose_time_has_come() {
        let at = |ms| Bson::DateTime(DateTime::from_millis(ms));
        let one = |name: &str, document| BTreeMap::from([(format!("{DATABASE}{name}"), vec![document])]);
        let due = Due { expired_ms: 10_000, garbage_age: Duration::from_secs(3) };
        let found = |first: &_, later: &_| left(first, due).findings(&left(later, due));
        for (name, field, first_that_may_stay) in
            [("accounts", "expires", 10_001), ("messages", "expires", 10_001), ("garbage", "at", 7_001)]
        {
            let left = |ms| found(&one(name, doc! { field: at(ms) }), &BTreeMap::new()).len();
            assert_eq!((left(first_that_may_stay), left(first_that_may_stay - 1)), (0, 1), "{name}");
        }
        let used = one("blobs", doc! { "_id": 1 });
        assert_eq!(found(&used, &used), [""; 0]);
        for name in ["purges", "deltas"] {
            let waiting = |id: i32| one(name, doc! { "_id": id });
            assert_eq!(found(&waiting(1), &waiting(2)), [""; 0], "another one");
            assert_eq!(found(&waiting(1), &waiting(1)).len(), 1, "{name}");
        }
    }
}
