//! One life of a store, played back and cut short again and again.

use crate::check::{Acknowledged, Checker, Progress};
use crate::dice::Dice;
use crate::disk::{Disk, Unsynced};
use crate::record::{Event, Record, events};
use crate::writer::{Job, SAID, STORE};
use crate::{Cuts, Outcome};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub struct Life<'a> {
    job: &'a Job,
    checker: &'a Checker,
    scratch: &'a Path,
    /// What has been acknowledged so far.
    known: Acknowledged,
}

/// Where the next life begins.
pub type Survivor = (PathBuf, Acknowledged);

impl<'a> Life<'a> {
    pub fn new(job: &'a Job, checker: &'a Checker, scratch: &'a Path, known: Acknowledged) -> Self {
        Self { job, checker, scratch, known }
    }

    /// Plays the record back onto the disk, cutting the power on the way. `None` when what should survive does not.
    pub fn cut_all(
        mut self,
        record: &[u8],
        cuts: Cuts,
        mut disk: Disk,
        outcome: &mut Outcome,
    ) -> Option<Survivor> {
        let all: Vec<Event> = events(record).collect();
        let mut dice = Dice::of(&[self.job.workload.seed, self.job.life]);
        let lines = Lines::of(&all);
        let (moments, ways) = lines.moments(all.len(), cuts, &mut dice);
        let last = lines.done[lines.done.len() / 2 + dice.below(lines.done.len() as u64 / 2) as usize];
        let mut survivor = None;
        for (at, event) in all.iter().enumerate() {
            match event.record {
                Record::Write { bytes, .. } if lines.inode == event.inode => {
                    self.hear(std::str::from_utf8(bytes).unwrap());
                }
                _ if lines.inode == event.inode => {}
                _ => {
                    let blob = matches!(event.record, Record::Create { path } if path.contains("/blobs/"));
                    assert!(!blob, "sled has put a value where it never syncs: {:?}", event.record);
                    outcome.seen.note(event);
                    disk.apply(event);
                }
            }
            if moments.contains(&at) {
                for _ in 0..ways {
                    let way = *dice.pick(&[Unsynced::Lost, Unsynced::Torn, Unsynced::Torn, Unsynced::Kept]);
                    self.cut(&disk, way, dice.next(), at, outcome);
                }
            }
            if at == last {
                let seed = dice.next();
                let found = self.cut(&disk, Unsynced::Torn, seed, at, outcome);
                let next = self.scratch.join(format!("machine-{}", self.job.life + 1));
                disk.cut(Unsynced::Torn, &mut Dice::of(&[seed]), &next);
                survivor = found.map(|found| (next, found));
            }
        }
        survivor
    }

    /// Takes in what the writer said.
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

    /// One image: what was found in it, if it is sound.
    fn cut(
        &self,
        disk: &Disk,
        unsynced: Unsynced,
        seed: u64,
        at: usize,
        outcome: &mut Outcome,
    ) -> Option<Acknowledged> {
        let image = self.scratch.join("image");
        disk.cut(unsynced, &mut Dice::of(&[seed]), &image);
        let store = image.join(STORE);
        // Gone as long as nothing is acknowledged: then a store is made there anew.
        std::fs::create_dir_all(store.parent().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let found = runtime.block_on(self.checker.check(&store, self.job.life, &self.known));
        drop(runtime);
        std::fs::remove_dir_all(&image).unwrap();
        outcome.images += 1;
        let note = |e| outcome.losses.push(format!("life {}, event {at}, {unsynced:?}: {e}", self.job.life));
        found.map_err(note).ok()
    }
}

/// Where in a record the writer says something.
struct Lines {
    /// Of the file it says it in.
    inode: u64,
    first: usize,
    /// Acknowledgements.
    done: Vec<usize>,
}

impl Lines {
    fn of(all: &[Event]) -> Self {
        let is_said =
            |e: &&Event| matches!(e.record, Record::Create { path: SAID } | Record::Open { path: SAID });
        let inode = all.iter().find(is_said).expect("the writer says something").inode;
        let mut lines = Self { inode, first: all.len(), done: Vec::new() };
        for (at, event) in all.iter().enumerate() {
            if let (Record::Write { bytes, .. }, true) = (&event.record, event.inode == inode) {
                lines.first = lines.first.min(at);
                if bytes.starts_with(b"done") {
                    lines.done.push(at);
                }
            }
        }
        lines
    }

    /// When to cut, and how many times each.
    fn moments(&self, len: usize, cuts: Cuts, dice: &mut Dice) -> (BTreeSet<usize>, usize) {
        match cuts {
            Cuts::WhileOpening => ((0..self.first).collect(), 3),
            Cuts::Some(count) => {
                let moment = |index| match index % 3 {
                    0 => dice.below(self.first as u64) as usize,
                    1 => *dice.pick(&self.done),
                    _ => dice.below(len as u64) as usize,
                };
                ((0..count).map(moment).collect(), 1)
            }
        }
    }
}
