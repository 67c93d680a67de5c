//! The simulated mongod is held to reality: the same commands, by the official driver, on it and on another server that
//! speaks the protocol; the same answers, codes and labels.
//!
//! The other is the wire server of the storage tests, or the replica set that `GADWALL_TEST_MONGODB_URI` names.

mod backend;
mod case;
mod cases;
mod documented;
mod labels;
mod lies;
mod outcome;
mod random;
#[allow(dead_code)] // Not all of it is needed here.
#[path = "../replica_set/mod.rs"]
mod replica_set;
mod script;
mod server;
#[path = "../../../../storage/tests/mongodb/mod.rs"]
mod servers;

use case::{Case, Finding};
use outcome::Outcome;
use script::World;
use server::{Server, database_name};

/// What came of each case there.
async fn played(server: &Server, name: &str, cases: &[Case]) -> Vec<Vec<Outcome>> {
    let mut all = Vec::new();
    for case in cases {
        all.push(World::play(server, name, &case.steps).await);
    }
    all
}

fn findings(cases: &[Case], ours: &[Vec<Outcome>], theirs: &[Vec<Outcome>], other: &Server) -> Vec<Finding> {
    let each = cases.iter().zip(ours.iter().zip(theirs));
    each.flat_map(|(case, (ours, theirs))| case.judge(ours, theirs, other.kind)).collect()
}

#[tokio::test]
async fn every_scripted_case_is_answered_alike() {
    let (simulated, other) = (Server::simulated(Default::default()).await, Server::other().await);
    let (cases, name) = (cases::all(), database_name());
    let ours = played(&simulated, &name, &cases).await;
    let theirs = played(&other, &name, &cases).await;
    let found = findings(&cases, &ours, &theirs, &other);
    let text: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert!(found.is_empty(), "{} on {:?}:\n{}", found.len(), other.kind, text.join("\n"));
}
