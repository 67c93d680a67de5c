//! The contract of the store, on the MongoDB backend, on three processes of the simulated mongod.
//!
//! One test of all claims but the largest: as tests of their own, each would have to start its three processes.

#[path = "../../../storage/tests/mongodb/mod.rs"]
mod mongodb;
mod process;

use gadwall_storage::contract::{Claim, all_claims, check};
use mongodb::Tuned;
use process::{Process, addresses};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Claims of thousands of messages: with them it takes four times as long. They are checked on the wire server by the
/// tests of the storage, and on these processes by the same tests, if `GADWALL_TEST_MONGODB_URI` names them.
const LARGE: [&str; 7] = [
    "transfer::a_batch_is_all_or_nothing",
    "transfer::ten_thousand_messages_are_one_batch",
    "transfer::a_moving_message_is_never_missing_and_never_twice",
    "hints::a_lagging_receiver_is_told_to_resync",
    "feed::a_client_that_follows_from_any_point_knows_the_mailbox",
    "feed::a_client_that_follows_step_by_step_knows_the_mailbox",
    "expiry::many_messages_go_in_bounded_rounds",
];

/// Claims that are checked at the same time.
const AT_ONCE: usize = 4;

#[test]
fn the_contract_holds_on_three_processes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (members, data) = (runtime.block_on(addresses()), tempfile::tempdir().unwrap());
    let _processes = [0, 1, 2].map(|me| Process::start(&members, me, data.path()));
    let backend = Tuned { uri: format!("mongodb://{}/?replicaSet=drill", members.join(",")), tune: |_| () };
    let claims: Vec<Claim> =
        all_claims().iter().filter(|claim| !LARGE.contains(&claim.name)).copied().collect();
    assert_eq!(claims.len() + LARGE.len(), all_claims().len(), "one of the large ones has another name now");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut broken = Vec::new();
        while let Some(claim) = claims.get(next.fetch_add(1, Ordering::Relaxed)) {
            if check(&backend, *claim).is_err() {
                broken.push(claim.name);
            }
        }
        broken
    };
    let broken: Vec<&str> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(broken.is_empty(), "{broken:#?}");
}
