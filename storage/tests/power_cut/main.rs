//! Nothing acknowledged is lost when the power goes, whatever of the unsynced writes survives.
//!
//! A process writes to a store while every change of its files is recorded. The record is then played back onto a
//! simulated disk, the power is cut at many moments, and each time the store is opened and compared with what the process
//! had been told. One of the survivors is where the next process goes on.

mod check;
mod dice;
mod disk;
mod life;
mod record;
mod seen;
mod workload;
mod writer;

use check::{Acknowledged, Checker, Progress};
use disk::Disk;
use life::Life;
use seen::Seen;
use std::path::Path;
use std::process::Command;
use workload::{Kind, Workload};
use writer::{JOB, Job};

/// One run: several lives of one store, each ended by a power cut.
struct Scenario {
    test: &'static str,
    kind: Kind,
    owners: u64,
    lives: u64,
    /// Steps of each owner in each life.
    steps: u64,
    cuts: Cuts,
    sync: bool,
}

/// When the power is cut, in each life.
#[derive(Clone, Copy)]
enum Cuts {
    /// At so many moments: while the store is opened, right after something was acknowledged, and anywhere.
    Some(usize),
    /// At every moment until the store is open, in every way.
    WhileOpening,
}

/// What came of a run.
#[derive(Default)]
struct Outcome {
    images: usize,
    losses: Vec<String>,
    seen: Seen,
}

#[test]
fn power_cut_loses_nothing_acknowledged() {
    let kind = Kind::Mixed;
    let test = "power_cut_loses_nothing_acknowledged";
    let scenario = Scenario { test, kind, owners: 6, lives: 6, steps: 200, cuts: Cuts::Some(40), sync: true };
    if let Some(seen) = assert_no_loss(&scenario) {
        assert!(seen.segments > 12 && seen.dead_segments > 0 && seen.index_len > 8 << 20, "{seen:?}");
    }
}

/// A batch longer than what sled's file is cut into is all there or not at all.
#[test]
fn power_cut_within_a_long_batch_loses_nothing() {
    let kind = Kind::Bulk(6000);
    let test = "power_cut_within_a_long_batch_loses_nothing";
    let scenario = Scenario { test, kind, owners: 2, lives: 2, steps: 7, cuts: Cuts::Some(12), sync: true };
    if let Some(seen) = assert_no_loss(&scenario) {
        assert!(seen.long_batches > 0, "{seen:?}");
    }
}

/// Nor `kill -9`, which leaves what was written and not synced.
#[test]
fn power_cut_while_a_store_is_opened_leaves_one_that_opens() {
    let kind = Kind::Mixed;
    let test = "power_cut_while_a_store_is_opened_leaves_one_that_opens";
    let scenario =
        Scenario { test, kind, owners: 3, lives: 2, steps: 12, cuts: Cuts::WhileOpening, sync: true };
    assert_no_loss(&scenario);
}

/// The negative control: with sled's own flush alone, the same run sees losses.
#[test]
fn power_cut_without_the_extra_sync_is_seen_to_lose() {
    let kind = Kind::Mixed;
    let test = "power_cut_without_the_extra_sync_is_seen_to_lose";
    let scenario = Scenario { test, kind, owners: 6, lives: 1, steps: 40, cuts: Cuts::Some(36), sync: false };
    if writer::was_asked() {
        return;
    }
    let outcome = scenario.run(seed());
    assert!(!outcome.losses.is_empty(), "{} images, and nothing was seen to be lost", outcome.images);
}

/// Runs the scenario, unless this is the process that writes for it: then there is nothing to be checked.
fn assert_no_loss(scenario: &Scenario) -> Option<Seen> {
    if writer::was_asked() {
        return None;
    }
    let Outcome { images, losses, seen } = scenario.run(seed());
    assert!(losses.is_empty(), "{} of {images} images:\n{}", losses.len(), losses.join("\n"));
    Some(seen)
}

/// Another one each time; `GADWALL_SEED` repeats a run, as far as threads allow.
fn seed() -> u64 {
    let given = std::env::var("GADWALL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let entropy: &dyn gadwall_storage::Entropy = &gadwall_storage::SystemEntropy;
        u64::from_le_bytes(entropy.bytes())
    });
    println!("GADWALL_SEED={seed}");
    seed
}

impl Scenario {
    fn run(&self, seed: u64) -> Outcome {
        let scratch = tempfile::tempdir().unwrap();
        let recorder = writer::recorder(scratch.path());
        let workload = Workload { seed, owners: self.owners, kind: self.kind };
        let checker = Checker::new(workload, self.lives * self.steps);
        let mut machine = scratch.path().join("machine");
        std::fs::create_dir(&machine).unwrap();
        let mut known =
            Acknowledged { progress: vec![Progress::default(); self.owners as usize], ..Default::default() };
        let mut outcome = Outcome::default();
        for life in 0..self.lives {
            let disk = Disk::of(&machine);
            let job = Job {
                workload,
                machine: machine.clone(),
                life,
                from: known.progress.iter().map(|p| p.done).collect(),
                steps: self.steps,
                sync: self.sync,
            };
            let record = self.record(&job, scratch.path(), &recorder);
            let life = Life::new(&job, &checker, scratch.path(), known);
            let Some((next, acknowledged)) = life.cut_all(&record, self.cuts, disk, &mut outcome) else {
                break;
            };
            std::fs::remove_dir_all(&machine).unwrap();
            (machine, known) = (next, acknowledged);
        }
        println!("{} images, {:?}", outcome.images, outcome.seen);
        outcome
    }

    /// Lets a process do the job and records what it does to its files.
    fn record(&self, job: &Job, scratch: &Path, recorder: &Path) -> Vec<u8> {
        let (job_file, record) = (scratch.join("job"), scratch.join("record"));
        std::fs::write(&job_file, job.to_text()).unwrap();
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args([self.test, "--exact", "--nocapture"]).env(JOB, &job_file).env("LD_PRELOAD", recorder);
        writer.env("GADWALL_RECORD_TO", &record).env("GADWALL_RECORD_BELOW", &job.machine);
        let said = writer.output().unwrap();
        assert!(said.status.success(), "the writer: {}", String::from_utf8_lossy(&said.stderr));
        let bytes = std::fs::read(&record).unwrap();
        std::fs::remove_file(&record).unwrap();
        bytes
    }
}
