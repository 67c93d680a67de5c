//! Random operations on two stores: each answer and the whole state are alike.

use gadwall_proptests::store_ops::{compare, steps};
use gadwall_storage::contract::faults::{Fault, Faulty};
use gadwall_storage::contract::{Backend, MemoryBackend};
use proptest::test_runner::{Config, TestRunner};

fn alike(left: &dyn Backend, right: &dyn Backend, cases: u32, most_steps: usize) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config { cases, max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(most_steps), |steps| {
            runtime.block_on(compare(left, right, &steps));
            Ok(())
        })
        .map_err(|e| e.to_string())
}

/// The sequences and the comparison are deterministic where the stores are.
#[test]
fn memory_is_like_memory() {
    alike(&MemoryBackend, &MemoryBackend, 200, 80).unwrap_or_else(|e| panic!("{e}"));
}

fn is_found(fault: Fault) {
    let found = alike(&MemoryBackend, &Faulty { backend: MemoryBackend, fault }, 400, 80);
    assert!(found.is_err(), "no sequence told a store with {fault:?} from a good one");
}

/// The wrapper that faults live in is none itself.
#[test]
fn a_store_without_a_fault_is_like_memory() {
    alike(&MemoryBackend, &Faulty { backend: MemoryBackend, fault: Fault::None }, 50, 80)
        .unwrap_or_else(|e| panic!("{e}"));
}

/// Negative controls: random sequences tell a faulty store from a good one.
#[test]
fn faults_are_found() {
    for fault in [
        Fault::ForgetsOperations,
        Fault::AnswersAnyRepetition,
        Fault::DropsIdenticalMail,
        Fault::AppendsOneByOne,
        Fault::NormalisesLineEnds,
        Fault::CountsNoChange,
        Fault::LeavesMovedBehind,
        Fault::CollectsSharedContent,
        Fault::LosesVanished,
        Fault::ReportsStaleQuota,
        Fault::UnsubscribesDeleted,
        Fault::LosesAllOnRestart,
    ] {
        is_found(fault);
    }
}
