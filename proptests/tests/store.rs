//! Random operations on two stores: each answer and the whole state are alike.

use gadwall_proptests::store_ops::{Reached, compare, steps};
use gadwall_proptests::{SledBackend, config};
use gadwall_storage::contract::faults::{Fault, Faulty};
use gadwall_storage::contract::{Backend, MemoryBackend};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Whether the sequence of a failure is kept, to be tried first from then on.
#[derive(PartialEq)]
enum Failures {
    Kept,
    /// They are what is wanted.
    Expected,
}

fn alike(left: &dyn Backend, right: &dyn Backend, cases: u32, failures: Failures) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut config = Config { max_shrink_iters: 300, source_file: Some(file!()), ..config(cases) };
    if failures == Failures::Expected {
        config.failure_persistence = None;
    }
    TestRunner::new(config)
        .run(&steps(80), |steps| {
            runtime.block_on(compare(left, right, &steps));
            Ok(())
        })
        .map_err(|e| e.to_string())
}

/// The durable store does what the specification does, over restarts.
#[test]
fn sled_is_like_memory() {
    alike(&MemoryBackend, &SledBackend, 80, Failures::Kept).unwrap_or_else(|e| panic!("{e}"));
}

/// Nor is anything compared in vain: the sequences come to what stores get wrong.
#[test]
fn sequences_reach_the_corners() {
    // Always the same sequences, so that these numbers can't be missed by bad luck.
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 200, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let backend = Faulty { backend: MemoryBackend, fault: Fault::None };
    let mut reached = Reached::default();
    for _ in 0..200 {
        let sequence = steps(80).new_tree(&mut runner).expect("a sequence").current();
        reached += runtime.block_on(compare(&MemoryBackend, &backend, &sequence));
    }
    assert!(reached.over_quota >= 20, "{reached:?}");
    assert!(reached.messages_expired >= 100, "{reached:?}");
    assert!(reached.accounts_expired >= 5, "{reached:?}");
    assert!(reached.transfers >= 100, "{reached:?}");
    assert!(reached.trees_renamed >= 10, "{reached:?}");
    assert!(reached.repeated_after_reopen >= 80, "{reached:?}");
}

/// The sequences and the comparison are deterministic where the stores are.
#[test]
fn memory_is_like_memory() {
    alike(&MemoryBackend, &MemoryBackend, 200, Failures::Kept).unwrap_or_else(|e| panic!("{e}"));
}

fn is_found(fault: Fault) {
    let found = alike(&MemoryBackend, &Faulty { backend: MemoryBackend, fault }, 400, Failures::Expected);
    assert!(found.is_err(), "no sequence told a store with {fault:?} from a good one");
}

/// The wrapper that faults live in is none itself.
#[test]
fn a_store_without_a_fault_is_like_memory() {
    alike(&MemoryBackend, &Faulty { backend: MemoryBackend, fault: Fault::None }, 50, Failures::Kept)
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
