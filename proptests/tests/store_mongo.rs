//! Random operations on the MongoDB backend and on memory: each answer and the whole state are alike.

#[path = "../../storage/tests/mongodb/mod.rs"]
mod mongodb;

use gadwall_proptests::store_ops::{compare, steps};
use gadwall_storage::contract::MemoryBackend;
use proptest::test_runner::{Config, TestRunner};

#[test]
fn mongodb_is_like_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Each step costs some dozens of round trips; shrinking as many again.
    let config = Config { cases: 30, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(60), |steps| {
            runtime.block_on(compare(&MemoryBackend, &mongodb::MongoBackend, &steps));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}
