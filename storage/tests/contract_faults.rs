//! The contract suite can fail: each deliberate fault turns the claims red that are about it.

use gadwall_storage::contract::faults::{Fault, Faulty};
use gadwall_storage::contract::{Claim, MemoryBackend, all_claims, check};

fn claim(name: &str) -> Claim {
    *all_claims().iter().find(|c| c.name == name).unwrap_or_else(|| panic!("there is no claim {name}"))
}

/// Claims about the order of things show some faults only when two tasks meet at the wrong moment: how often these are
/// given the chance. All others have one.
const CHANCES: usize = 20;

fn chances(claim: &str) -> usize {
    if claim.starts_with("order::") { CHANCES } else { 1 }
}

fn assert_noticed(fault: Fault) {
    let holds = |name: &str| check(&Faulty { backend: MemoryBackend, fault }, claim(name)).is_ok();
    let unnoticed: Vec<&str> =
        fault.breaks().iter().filter(|name| (0..chances(name)).all(|_| holds(name))).copied().collect();
    assert!(!fault.breaks().is_empty());
    assert!(unnoticed.is_empty(), "{fault:?} goes unnoticed by {unnoticed:#?}");
}

macro_rules! each_is_noticed {
    ($($test:ident: $fault:ident,)*) => { $(#[test] fn $test() { assert_noticed(Fault::$fault); })* };
}

each_is_noticed! {
    forgotten_operations: ForgetsOperations,
    repetitions_answered_unseen: AnswersAnyRepetition,
    identical_mail_dropped: DropsIdenticalMail,
    batches_in_a_loop: AppendsOneByOne,
    line_ends_normalised: NormalisesLineEnds,
    insertion_apart_from_uid: InsertsApartFromUid,
    condition_decided_before: DecidesConditionBefore,
    modseq_for_no_change: CountsNoChange,
    moved_message_left_behind: LeavesMovedBehind,
    move_in_two_steps: MovesInTwoSteps,
    shared_content_collected: CollectsSharedContent,
    bodies_reopened: ReopensBodies,
    vanished_forgotten: LosesVanished,
    changed_forgotten: LosesChanged,
    journal_answers_in_part: AnswersInPart,
    quota_reported_stale: ReportsStaleQuota,
    owner_ignored: IgnoresOwner,
    uidvalidity_repeated: RepeatsUidValidity,
    deleted_mailbox_unsubscribed: UnsubscribesDeleted,
    recent_told_twice: TellsRecentTwice,
    hints_lost: LosesHints,
    hints_misdirected: MisdirectsHints,
    late_expiry: ExpiresLate,
    sweeping_stopped: StopsSweeping,
    audit_failed: FailsAudit,
    copies_counted: CountsCopies,
    all_lost_on_restart: LosesAllOnRestart,
    operations_lost_on_restart: LosesOperationsOnRestart,
}

/// Without a fault nothing turns red, restarts included: it is the fault that is noticed, not the wrapper.
#[test]
fn without_a_fault_every_claim_holds() {
    let backend = Faulty { backend: MemoryBackend, fault: Fault::None };
    let failed: Vec<&str> =
        all_claims().iter().filter(|c| check(&backend, **c).is_err()).map(|c| c.name).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
