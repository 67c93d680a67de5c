//! Nothing acknowledged is lost when the power goes, whatever of the unsynced writes survives.
//!
//! A process writes to a store while every change of its files is recorded. The record is then played back onto a
//! simulated disk, the power is cut at many moments, and each time the store is opened and compared with what the process
//! had been told. One of the survivors is where the next process goes on.

mod check;
mod dice;
mod disk;
mod record;
mod workload;
mod writer;

use check::{Acknowledged, Checker, Progress};
use dice::Dice;
use disk::{Disk, Unsynced};
use record::{Event, Record, events};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use workload::{Kind, Workload};
use writer::{JOB, Job, SAID, STORE};

/// One run: several lives of one store, each ended by a power cut.
struct Scenario {
    test: &'static str,
    kind: Kind,
    owners: u64,
    lives: u64,
    /// Steps of each owner in each life.
    steps: u64,
    /// Moments at which the power is cut, in each life.
    cuts: usize,
    sync: bool,
}

/// What came of a run.
#[derive(Default)]
struct Outcome {
    images: usize,
    losses: Vec<String>,
}

#[test]
fn power_cut_loses_nothing_acknowledged() {
    let kind = Kind::Mixed;
    let test = "power_cut_loses_nothing_acknowledged";
    let scenario = Scenario { test, kind, owners: 6, lives: 6, steps: 40, cuts: 36, sync: true };
    assert_no_loss(&scenario);
}

/// A batch longer than what sled's file is cut into is all there or not at all.
#[test]
fn power_cut_within_a_long_batch_loses_nothing() {
    let kind = Kind::Bulk(3000);
    let test = "power_cut_within_a_long_batch_loses_nothing";
    let scenario = Scenario { test, kind, owners: 2, lives: 2, steps: 7, cuts: 12, sync: true };
    assert_no_loss(&scenario);
}

/// The negative control: with sled's own flush alone, the same run sees losses.
#[test]
fn power_cut_without_the_extra_sync_is_seen_to_lose() {
    let kind = Kind::Mixed;
    let test = "power_cut_without_the_extra_sync_is_seen_to_lose";
    let scenario = Scenario { test, kind, owners: 6, lives: 1, steps: 40, cuts: 36, sync: false };
    if writer::was_asked() {
        return;
    }
    let outcome = scenario.run(seed());
    assert!(!outcome.losses.is_empty(), "{} images, and nothing was seen to be lost", outcome.images);
}

fn assert_no_loss(scenario: &Scenario) {
    if writer::was_asked() {
        return;
    }
    let outcome = scenario.run(seed());
    let losses = &outcome.losses;
    assert!(losses.is_empty(), "{} of {} images:\n{}", losses.len(), outcome.images, losses.join("\n"));
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
            let mut life = Life {
                scenario: self,
                checker: &checker,
                scratch: scratch.path(),
                job: &job,
                known,
                survivor: None,
            };
            life.cut_all(&record, disk, &mut outcome);
            let Some((next, acknowledged)) = life.survivor else { break };
            std::fs::remove_dir_all(&machine).unwrap();
            (machine, known) = (next, acknowledged);
        }
        println!("{} images", outcome.images);
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

/// One life of a store, played back.
struct Life<'a> {
    scenario: &'a Scenario,
    checker: &'a Checker,
    scratch: &'a Path,
    job: &'a Job,
    known: Acknowledged,
    /// Where the next life begins.
    survivor: Option<(PathBuf, Acknowledged)>,
}

impl Life<'_> {
    fn cut_all(&mut self, record: &[u8], mut disk: Disk, outcome: &mut Outcome) {
        let all: Vec<Event> = events(record).collect();
        let mut dice = Dice::of(&[self.job.workload.seed, self.job.life, 1]);
        let cuts = moments(&all, self.scenario.cuts, &mut dice);
        let survivor = *dice.pick(&cuts[cuts.len() / 2..]);
        let mut said = 0;
        for (at, event) in all.iter().enumerate() {
            match event.record {
                Record::Create { path: SAID } | Record::Open { path: SAID } => said = event.inode,
                Record::Write { bytes, .. } if event.inode == said => {
                    self.hear(std::str::from_utf8(bytes).unwrap())
                }
                _ => {
                    let blob = matches!(event.record, Record::Create { path } if path.contains("/blobs/"));
                    assert!(!blob, "sled has put a value where it never syncs: {:?}", event.record);
                    disk.apply(event);
                }
            }
            if cuts.binary_search(&at).is_ok() {
                let unsynced = *dice.pick(&[Unsynced::Lost, Unsynced::Torn, Unsynced::Torn, Unsynced::Kept]);
                let found = self.cut(&disk, unsynced, dice.next(), at, outcome);
                if let (true, Some((seed, found))) = (at == survivor, found) {
                    let next = self.scratch.join(format!("machine-{}", self.job.life + 1));
                    disk.cut(unsynced, &mut Dice::of(&[seed]), &next);
                    self.survivor = Some((next, found));
                }
            }
        }
    }

    fn hear(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (owner, n) = (number(), number());
        let progress = &mut self.known.progress[owner as usize];
        assert_eq!(progress.done, n, "{line}");
        if word == "begin" {
            progress.begun = true;
            return;
        }
        *progress = Progress { done: n + 1, begun: false };
        for made in words {
            let (name, validity) = made.split_once('=').unwrap();
            let now = &self.checker.histories[owner as usize][n as usize + 1];
            let made = now.account.as_ref().unwrap().mailboxes[name].made.clone();
            self.known.shown.insert((owner, made), validity.parse().unwrap());
        }
    }

    /// One image: what was found in it, and the dice it was made with.
    fn cut(
        &self,
        disk: &Disk,
        unsynced: Unsynced,
        seed: u64,
        at: usize,
        outcome: &mut Outcome,
    ) -> Option<(u64, Acknowledged)> {
        let image = self.scratch.join("image");
        disk.cut(unsynced, &mut Dice::of(&[seed]), &image);
        let store = image.join(STORE);
        std::fs::create_dir_all(store.parent().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let found = runtime.block_on(self.checker.check(&store, self.job.life, &self.known));
        drop(runtime);
        std::fs::remove_dir_all(&image).unwrap();
        outcome.images += 1;
        match found {
            Ok(found) => Some((seed, found)),
            Err(e) => {
                outcome.losses.push(format!("life {}, event {at}, {unsynced:?}: {e}", self.job.life));
                None
            }
        }
    }
}

/// When to cut: while the store is opened, right after something was acknowledged, and anywhere.
fn moments(all: &[Event], count: usize, dice: &mut Dice) -> Vec<usize> {
    let said: BTreeSet<u64> = all
        .iter()
        .filter(|e| matches!(e.record, Record::Create { path: SAID } | Record::Open { path: SAID }))
        .map(|e| e.inode)
        .collect();
    let mut lines: BTreeMap<bool, Vec<usize>> = BTreeMap::new();
    for (at, event) in all.iter().enumerate() {
        if let Record::Write { bytes, .. } = event.record
            && said.contains(&event.inode)
        {
            lines.entry(bytes.starts_with(b"done")).or_default().push(at);
        }
    }
    let (begun, done) = (&lines[&false], &lines[&true]);
    let mut moments = BTreeSet::new();
    for index in 0..count {
        moments.insert(match index % 3 {
            0 => dice.below(begun[0] as u64 + 1) as usize,
            1 => *dice.pick(done),
            _ => dice.below(all.len() as u64) as usize,
        });
    }
    moments.into_iter().collect()
}
