//! Random commands of several sessions, in transactions and outside, one after the other: each is answered alike, and in
//! the end the documents are the same.

use crate::case::*;
use crate::script::{Step, Who, World};
use crate::server::{Server, database_name};
use bson::{Bson, Document, doc};
use gadwall_sim_mongod::engine::Faulty;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use std::collections::{BTreeMap, BTreeSet};

/// Sequences a run, unless `PROPTEST_CASES` says how many. Each takes some hundred round trips.
const CASES: u32 = 60;
const STEPS: usize = 40;
const SEQUENCES_TO_FIND_A_LIE: usize = 300;
/// Found again with the next run, whatever else it tries.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/differential.txt");

const SESSIONS: [Who; 3] = ['a', 'b', 'c'];
const IDS: std::ops::Range<i32> = 1..5;

/// A command on few documents of two collections, so that it meets others.
#[derive(Debug, Clone)]
enum Op {
    Insert(Vec<i32>, bool),
    Update { id: i32, change: Document, upsert: bool },
    UpdateMany { ids: Vec<i32>, change: Document },
    Delete(Vec<i32>),
    Take { id: i32, change: Document, upsert: bool, new: bool },
    Remove(i32),
    Find { least: i32, limit: i32, downwards: bool },
    FindField(i32),
    Count(i32),
}

/// What happens next.
#[derive(Debug, Clone)]
enum Act {
    Op { who: Option<Who>, collection: &'static str, op: Op },
    Begin(Who),
    Commit(Who),
    Abort(Who),
}

fn change() -> BoxedStrategy<Document> {
    let field = || prop_oneof![Just("n"), Just("m"), Just("o.x")];
    let value = || {
        prop_oneof![
            (0..3).prop_map(Bson::Int32),
            (0..3_i64).prop_map(Bson::Int64),
            Just(Bson::String("x".into())),
            Just(Bson::Null),
            (0..3_i64).prop_map(|ms| Bson::DateTime(bson::DateTime::from_millis(ms))),
        ]
    };
    prop_oneof![
        (field(), value()).prop_map(|(field, value)| doc! { "$set": { field: value } }),
        field().prop_map(|field| doc! { "$unset": { field: 1 } }),
        (field(), -2..3).prop_map(|(field, by)| doc! { "$inc": { field: by } }),
        (field(), -2..3_i64).prop_map(|(field, by)| doc! { "$inc": { field: by } }),
        (field(), value()).prop_map(|(field, value)| doc! { "$max": { field: value } }),
        (field(), value()).prop_map(|(field, value)| doc! { "$setOnInsert": { field: value } }),
        value().prop_map(|value| doc! { "$set": { "n": value }, "$inc": { "token": 1_i64 } }),
    ]
    .boxed()
}

fn op() -> BoxedStrategy<Op> {
    let ids = || prop::collection::vec(IDS, 1..3);
    prop_oneof![
        4 => (ids(), any::<bool>()).prop_map(|(ids, ordered)| Op::Insert(ids, ordered)),
        3 => (IDS, change(), any::<bool>()).prop_map(|(id, change, upsert)| Op::Update { id, change, upsert }),
        2 => (ids(), change()).prop_map(|(ids, change)| Op::UpdateMany { ids, change }),
        2 => ids().prop_map(Op::Delete),
        4 => (IDS, change(), any::<bool>(), any::<bool>())
            .prop_map(|(id, change, upsert, new)| Op::Take { id, change, upsert, new }),
        1 => IDS.prop_map(Op::Remove),
        3 => (IDS, 0..4, any::<bool>()).prop_map(|(least, limit, downwards)| Op::Find { least, limit, downwards }),
        1 => (0..3).prop_map(Op::FindField),
        1 => (0..3).prop_map(Op::Count),
    ]
    .boxed()
}

fn act() -> BoxedStrategy<Act> {
    let who = || prop::sample::select(&SESSIONS[..]);
    let op = (prop::option::weighted(0.7, who()), prop_oneof![Just("c"), Just("d")], op())
        .prop_map(|(who, collection, op)| Act::Op { who, collection, op });
    prop_oneof![
        8 => op,
        2 => who().prop_map(Act::Begin),
        2 => who().prop_map(Act::Commit),
        1 => who().prop_map(Act::Abort),
    ]
    .boxed()
}

impl Op {
    fn command(&self, collection: &str) -> Document {
        match self {
            Op::Insert(ids, ordered) => {
                let documents: Vec<Document> =
                    ids.iter().map(|id| doc! { "_id": *id, "n": *id % 2 }).collect();
                doc! { "insert": collection, "documents": documents, "ordered": *ordered }
            }
            Op::Update { id, change, upsert } => {
                let statement = doc! { "q": { "_id": *id }, "u": change.clone(), "upsert": *upsert };
                doc! { "update": collection, "updates": [statement] }
            }
            Op::UpdateMany { ids, change } => {
                let filter = doc! { "_id": { "$in": ids.clone() } };
                doc! { "update": collection, "updates": [{ "q": filter, "u": change.clone(), "multi": true }] }
            }
            Op::Delete(ids) => {
                let filter = doc! { "_id": { "$in": ids.clone() } };
                doc! { "delete": collection, "deletes": [{ "q": filter, "limit": 0 }] }
            }
            Op::Take { id, change, upsert, new } => doc! {
                "findAndModify": collection, "query": { "_id": *id }, "update": change.clone(), "upsert": *upsert, "new": *new,
            },
            Op::Remove(id) => doc! { "findAndModify": collection, "query": { "_id": *id }, "remove": true },
            Op::Find { least, limit, downwards } => {
                let direction = if *downwards { -1 } else { 1 };
                let filter = doc! { "_id": { "$gte": *least } };
                doc! { "find": collection, "filter": filter, "sort": { "_id": direction }, "limit": *limit }
            }
            Op::FindField(n) => doc! {
                "find": collection, "filter": { "n": { "$lte": *n } }, "sort": { "n": 1, "_id": 1 }, "projection": { "n": 1 },
            },
            Op::Count(n) => doc! {
                "aggregate": collection, "cursor": {},
                "pipeline": [{ "$match": { "n": *n } }, { "$group": { "_id": 1, "n": { "$sum": 1 } } }],
            },
        }
    }

    /// Documents that it may write.
    fn writes(&self) -> Vec<i32> {
        match self {
            Op::Insert(ids, _) | Op::UpdateMany { ids, .. } | Op::Delete(ids) => ids.clone(),
            Op::Update { id, .. } | Op::Take { id, .. } | Op::Remove(id) => vec![*id],
            Op::Find { .. } | Op::FindField(_) | Op::Count(_) => Vec::new(),
        }
    }
}

/// Makes a script of what may happen: a driver refuses a commit without a transaction, and whoever writes outside of any
/// would wait for a transaction that has written the same, which nobody ends meanwhile.
fn script(acts: &[Act]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut open: BTreeMap<Who, BTreeSet<(&str, i32)>> = BTreeMap::new();
    for act in acts {
        match act {
            Act::Begin(who) if !open.contains_key(who) => {
                open.insert(*who, BTreeSet::new());
                steps.push(Step::Begin(*who));
            }
            Act::Commit(who) if open.remove(who).is_some() => steps.push(Step::Commit(*who)),
            Act::Abort(who) if open.remove(who).is_some() => steps.push(Step::Abort(*who)),
            Act::Begin(_) | Act::Commit(_) | Act::Abort(_) => {}
            Act::Op { who, collection, op } => {
                let writes: Vec<(&str, i32)> = op.writes().into_iter().map(|id| (*collection, id)).collect();
                let within = who.filter(|who| open.contains_key(who));
                let mut command = op.command(collection);
                if within.is_some() {
                    // SecantusDB goes on after an error there: see the scripted cases.
                    command.remove("ordered");
                }
                let is_held = |id: &(&str, i32)| open.values().any(|held| held.contains(id));
                match within {
                    Some(who) => {
                        open.entry(who).or_default().extend(writes);
                        steps.push(Step::In(who, command));
                    }
                    None if writes.iter().any(is_held) => {}
                    None => steps.push(Step::Run(command)),
                }
            }
        }
    }
    steps
}

/// How the two differ, if they do.
async fn difference(simulated: &Server, other: &Server, steps: &[Step]) -> Option<String> {
    let name = database_name();
    let (mut ours, mut theirs) = (World::new(simulated, &name).await, World::new(other, &name).await);
    for world in [&mut ours, &mut theirs] {
        world.step(&run(doc! { "create": "d" })).await;
    }
    let mut difference = None;
    for step in steps {
        let (mine, other) = (ours.step(step).await, theirs.step(step).await);
        if mine != other {
            difference = Some(format!("{step:?}\n    simulated: {mine}\n    other:     {other}"));
            break;
        }
    }
    let (mine, other) = (ours.end().await, theirs.end().await);
    let at_the_end =
        || (mine != other).then(|| format!("in the end\n    simulated: {mine}\n    other:     {other}"));
    difference.or_else(at_the_end)
}

/// The same sequences in each run, until one finds the lie.
async fn finds(lie: Faulty, other: &Server) -> bool {
    let (lying, mut runner) = (Server::simulated(lie).await, TestRunner::deterministic());
    let acts = prop::collection::vec(act(), 1..STEPS);
    for _ in 0..SEQUENCES_TO_FIND_A_LIE {
        let acts = acts.new_tree(&mut runner).expect("nothing is filtered").current();
        if difference(&lying, other, &script(&acts)).await.is_some() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn lies_are_found_by_random_commands_too() {
    let other = Server::other().await;
    let (mut unlabelled, mut doubles, mut sees, mut overwrites) = <[Faulty; 4]>::default().into();
    unlabelled.no_transient_label = true;
    doubles.unique_not_enforced = true;
    sees.no_snapshot = true;
    overwrites.no_conflict_with_the_past = true;
    for lie in [unlabelled, doubles, sees, overwrites] {
        assert!(finds(lie, &other).await, "{lie:?}");
    }
}

#[test]
fn random_commands_are_answered_alike() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (simulated, other) =
        runtime.block_on(async { (Server::simulated(Default::default()).await, Server::other().await) });
    let config = Config {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES },
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(act(), 1..STEPS), |acts| {
        let steps = script(&acts);
        match runtime.block_on(difference(&simulated, &other, &steps)) {
            None => Ok(()),
            Some(difference) => {
                let script: Vec<String> = steps.iter().map(|step| format!("    {step:?}")).collect();
                Err(TestCaseError::fail(format!("{difference}\nafter\n{}", script.join("\n"))))
            }
        }
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
