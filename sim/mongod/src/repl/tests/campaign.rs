//! Runs of many seeds, and what must be true after each.

use super::faults::{Dice, Faults};
use super::world::World;
use crate::repl::{Counts, Faulty};

/// Time with faults, then time to recover in, in milliseconds.
const UNSAFE: u64 = 20_000;
const RECOVERY: u64 = 15_000;
/// And so long a backlog may take, after that.
const BACKLOG: u64 = 60_000;

/// One run: what was found wrong.
fn run(seed: u64, faulty: Faulty, bias: Bias) -> (Vec<String>, Counts) {
    let mut faults = Faults::draw(&Dice::new(seed));
    bias(&mut faults);
    let mut world = World::new(seed, faulty, faults);
    world.run(UNSAFE, true);
    world.heal();
    world.run(UNSAFE + RECOVERY, false);
    let mut findings = world.witness.check();
    findings.extend(liveness(&mut world));
    let late = world.now + BACKLOG;
    while world.now < late && !agreement(&world).is_empty() {
        world.run(world.now + 1000, false);
    }
    findings.extend(agreement(&world));
    (findings, world.witness.counts())
}

/// After everything has healed there is one primary, and what is written to it is committed.
fn liveness(world: &mut World) -> Vec<String> {
    let primaries: Vec<_> =
        world.cores().filter(|(_, core)| core.primary().is_some()).map(|(id, _)| id).collect();
    let [primary] = primaries[..] else { return vec![format!("primaries after recovery: {primaries:?}")] };
    let before = world.acknowledged.len();
    world.write_to(primary);
    let late = world.now + BACKLOG;
    while world.now < late && world.acknowledged.len() == before {
        world.run(world.now + 1000, false);
    }
    if world.acknowledged.len() == before {
        vec!["a write after recovery isn't committed".into()]
    } else {
        vec![]
    }
}

/// Makes some faults likelier than chance does.
type Bias = fn(&mut Faults);

const NO_BIAS: Bias = |_| {};
const BLACKOUTS: Bias =
    |faults| (faults.blackout, faults.sync_ms) = (faults.blackout.max(8), faults.sync_ms.max(100));
/// Two candidates in one term, and a voter that loses its power between them.
const VOTERS_DIE: Bias = |faults| {
    (faults.strike_vote, faults.close_races) = (400, true);
    (faults.latency_ms, faults.sync_ms) = (151, 401);
};
/// Figure 8 of the Raft paper: a primary that replicates entries of an older term and dies before one of its own is
/// anywhere else, and a member with a newer term's entries that has been away.
const PRIMARIES_DIE: Bias = |faults| {
    (faults.members, faults.small_batches) = (5, true);
    (faults.strike_primary, faults.latency_ms, faults.sync_ms) = (500, 151, 3);
    (faults.partition, faults.crash) = (60, 20);
};

/// All logs are the same, all that was acknowledged is in them, and engines have applied just that.
fn agreement(world: &World) -> Vec<String> {
    let mut findings = vec![];
    let first = world.members[0].applied.clone();
    for (id, core) in world.cores() {
        let applied = &world.members[id].applied;
        if *applied != first
            || core.history().last() != first.last().map(|entry| entry.at).unwrap_or_default()
        {
            findings.push(format!(
                "member {id} has applied {} entries, member 0 {}",
                applied.len(),
                first.len()
            ));
        }
        if core.committed() != core.history().last() {
            findings.push(format!("member {id} knows {:?} committed", core.committed()));
        }
        let lost = world.acknowledged.iter().filter(|entry| {
            let index = usize::try_from(entry.at.index).unwrap();
            applied.get(index - 1) != Some(entry)
        });
        findings.extend(lost.map(|entry| format!("member {id} has lost {:?}", entry.at)));
    }
    if world.cores().count() != world.members.len() {
        findings.push("a member is down".into());
    }
    findings
}

fn seeds() -> u64 {
    std::env::var("GADWALL_REPL_SEEDS").map_or(600, |seeds| seeds.parse().expect("a number of seeds"))
}

#[test]
fn what_is_committed_stays_and_a_set_recovers_from_everything() {
    let mut total = Counts::default();
    for seed in 0..seeds() {
        let (findings, counts) = run(seed, Faulty::default(), NO_BIAS);
        assert!(findings.is_empty(), "seed {seed}: {findings:#?}");
        total.dry_runs += counts.dry_runs;
        total.elections += counts.elections;
        total.step_downs += counts.step_downs;
        total.step_downs_while_waiting += counts.step_downs_while_waiting;
        total.rollbacks += counts.rollbacks;
        total.rolled_back_entries += counts.rolled_back_entries;
        total.catch_ups += counts.catch_ups;
        total.chained_batches += counts.chained_batches;
    }
    println!("{} seeds: {total:?}", seeds());
    let seen = [
        total.elections,
        total.step_downs_while_waiting,
        total.rolled_back_entries,
        total.catch_ups,
        total.chained_batches,
    ];
    assert!(seen.iter().all(|count| *count > 0), "these seeds have not lived through everything: {total:?}");
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..20 {
        let story = || {
            let mut world = World::new(seed, Faulty::default(), Faults::draw(&Dice::new(seed)));
            world.run(UNSAFE, true);
            let logs: Vec<_> = world.cores().map(|(_, core)| (core.term(), core.history().last())).collect();
            (format!("{logs:?} {:?} {:?}", world.acknowledged, world.witness.counts()), world.events_happened)
        };
        assert_eq!(story(), story(), "seed {seed}");
    }
}

#[test]
fn a_sound_set_lives_through_what_controls_are_caught_with() {
    for bias in [BLACKOUTS, VOTERS_DIE, PRIMARIES_DIE] {
        for seed in 0..seeds() / 4 {
            let (findings, _) = run(seed, Faulty::default(), bias);
            assert!(findings.is_empty(), "seed {seed}: {findings:#?}");
        }
    }
}

/// Runs seeds until one finds the mistake.
fn caught(name: &str, faulty: Faulty, bias: Bias, within: u64) {
    let first = (0..within).find_map(|seed| Some((seed, run(seed, faulty, bias).0.into_iter().next()?)));
    let Some((seed, finding)) = first else { panic!("{name}: not caught in {within} seeds") };
    println!("{name}: caught by seed {seed} after {} seeds: {finding}", seed + 1);
}

#[test]
fn a_majority_that_is_one_member_is_caught() {
    caught("acknowledge_w1", Faulty { acknowledge_w1: true, ..Faulty::default() }, NO_BIAS, 100);
}

#[test]
fn secondaries_that_acknowledge_before_sync_are_caught() {
    let faulty = Faulty { secondaries_acknowledge_before_sync: true, ..Faulty::default() };
    caught("secondaries_acknowledge_before_sync", faulty, BLACKOUTS, 300);
}

#[test]
fn votes_that_are_not_synced_are_caught() {
    let faulty = Faulty { vote_not_synced: true, ..Faulty::default() };
    caught("vote_not_synced", faulty, VOTERS_DIE, 1000);
}

#[test]
fn counting_entries_of_older_terms_is_caught() {
    let faulty = Faulty { commit_without_term_rule: true, ..Faulty::default() };
    caught("commit_without_term_rule", faulty, PRIMARIES_DIE, 1000);
}

#[test]
fn a_primary_that_never_steps_down_is_caught() {
    caught("never_steps_down", Faulty { never_steps_down: true, ..Faulty::default() }, NO_BIAS, 100);
}
