//! A member of the tests' set: a core, the disk under it, and a stand-in for the engine above it.

use super::world::Ms;
use crate::log::Wait;
use crate::oplog::{Entry, OpTime};
use crate::repl::event::{Now, Recovered, Vote, Write};
use crate::repl::history::Record;
use crate::repl::{Core, Identity};
use std::collections::VecDeque;
use std::time::Duration;

/// The files of a member: what is durable, and what a power cut may take.
#[derive(Debug, Default)]
pub struct Files {
    records: Vec<Record>,
    vote: Option<Vote>,
    committed: OpTime,
    pub pending: VecDeque<(u64, Write)>,
    /// How many of them the sync under way makes durable.
    pub syncing: usize,
}

impl Files {
    /// Makes the oldest so many writes durable.
    pub fn keep(&mut self, writes: usize) {
        for (_, write) in self.pending.drain(..writes).collect::<Vec<_>>() {
            match write {
                Write::Append { records, committed } => {
                    self.records.extend(records);
                    self.committed = committed;
                }
                Write::Truncate { len } => self.records.truncate(usize::try_from(len).unwrap()),
                Write::Vote(vote) => self.vote = Some(vote),
            }
        }
    }

    pub fn recover(&self) -> Recovered {
        Recovered { records: self.records.clone(), vote: self.vote, committed: self.committed }
    }
}

/// A write whose client waits for it.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub wait: Wait,
    pub entry: Entry,
}

pub struct Member {
    pub core: Option<Core>,
    /// Tells messages of an earlier life from those of this one.
    pub life: u64,
    pub files: Files,
    /// What the engine has applied.
    pub applied: Vec<Entry>,
    pub waiting: Vec<Waiting>,
    /// Milliseconds of its clock per thousand of the world's.
    pub pace: u64,
    pub next_tick: Ms,
}

impl Member {
    pub fn new(pace: u64) -> Self {
        Member {
            core: None,
            life: 0,
            files: Files::default(),
            applied: vec![],
            waiting: vec![],
            pace,
            next_tick: 0,
        }
    }

    pub fn now(&self, world: Ms) -> Now {
        let elapsed = world * self.pace / 1000;
        Now { elapsed: Duration::from_millis(elapsed), wall_ms: 1_795_608_000_000 + elapsed.cast_signed() }
    }

    pub fn start(&mut self, world: Ms, identity: Identity) {
        assert!(self.core.is_none());
        self.life += 1;
        self.applied.clear();
        self.next_tick = world;
        self.core = Some(Core::new(identity, self.now(world), self.files.recover()));
    }

    /// The process dies. What it has written is in the hands of the operating system: `kept` writes of it reach the
    /// disk, all of them unless the power goes, too.
    pub fn die(&mut self, kept: usize) {
        self.core = None;
        self.waiting.clear();
        self.files.keep(kept.min(self.files.pending.len()));
        self.files.pending.clear();
        self.files.syncing = 0;
    }

    pub fn apply(&mut self, entry: Entry) {
        assert_eq!(entry.at.index, self.applied.len() as u64 + 1, "entries are applied in order, each once");
        self.applied.push(entry);
    }

    pub fn roll_back(&mut self, to: OpTime) {
        self.applied.truncate(usize::try_from(to.index).unwrap());
        assert_eq!(self.applied.last().map(|entry| entry.at).unwrap_or_default(), to);
    }
}
