//! What runs have lived through, together, and what they should have.

use super::Outcome;
use crate::world::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a batch of so many runs has to have lived through, or it has proved less than it claims.
const BATCH: u64 = 100;
const REQUIRED: [&str; 15] = [
    "marks/commit retry",
    "marks/conditional store modified",
    "marks/content collected",
    "marks/expiry swept",
    "marks/idempotent hit",
    "marks/lease taken over",
    "marks/mail sent again",
    "marks/move acknowledged",
    "marks/rename acknowledged",
    "marks/resync after lost hint",
    "marks/saw changed (resync)",
    "marks/session lost",
    "marks/view listened",
    "replication/rollbacks",
    "replication/step-downs during a majority wait",
];

/// proc(5), `uptime`: the machine's own clock, since the C library's is the simulation's in this program. 0 where there is no
/// such file.
pub(super) fn uptime_seconds() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}

/// What the processes that have been waited for have used, and theirs: proc(5), `cutime` and `cstime`, in hundredths on
/// every Linux there is. 0 where there is no such file.
pub(super) fn children_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name comes second, in brackets, and may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Under which name a kind of fault is counted.
fn mark(kind: &Kind) -> String {
    format!("struck/{kind:?}")
}

/// What runs have lived through, together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) runs: u64,
    pub(super) not_clean: u64,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) virtual_seconds: f64,
    pub(super) counts: BTreeMap<String, u64>,
}

impl Sums {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.not_clean += u64::from(!outcome.findings().is_empty());
        let Some(report) = &outcome.report else { return };
        self.virtual_seconds += report["elapsed"].as_f64().unwrap_or_default();
        for part in ["marks", "struck", "replication"] {
            for (name, count) in report[part].as_object().into_iter().flatten() {
                *self.counts.entry(format!("{part}/{name}")).or_default() +=
                    count.as_u64().unwrap_or_default();
            }
        }
    }

    /// What should have happened in so many runs, and has not.
    fn missed(&self) -> Vec<String> {
        if self.runs < BATCH {
            return Vec::new();
        }
        let missed = REQUIRED.iter().filter(|mark| !self.has(mark));
        missed.map(|mark| mark.to_string()).chain(self.not_struck().map(|kind| mark(&kind))).collect()
    }

    /// The kinds of faults of which none has struck.
    pub(super) fn not_struck(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.has(&mark(kind)))
    }

    fn has(&self, mark: &str) -> bool {
        self.counts.get(mark).is_some_and(|count| *count > 0)
    }

    /// Says what has not been lived through, if anything.
    pub(super) fn has_lived_through_everything(&self) -> bool {
        let missed = self.missed();
        for mark in &missed {
            println!("NOT LIVED THROUGH by any of {} runs: {mark}", self.runs);
        }
        missed.is_empty()
    }

    /// Adds what other runs have lived through.
    pub(super) fn add_all(&mut self, others: &Sums) {
        self.runs += others.runs;
        self.not_clean += others.not_clean;
        self.wall_seconds += others.wall_seconds;
        self.cpu_seconds += others.cpu_seconds;
        self.virtual_seconds += others.virtual_seconds;
        for (name, count) in &others.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
    }

    pub(super) fn print(&self) {
        for (name, count) in &self.counts {
            println!("{count:>10}  {name}");
        }
        println!("{self}");
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults = self.counts.iter().filter(|(name, _)| name.starts_with("struck/"));
        write!(
            f,
            "{} runs, {} not clean, {} faults, {:.0} virtual seconds; {:.0} runs a minute, {:.0} virtual seconds a CPU second",
            self.runs,
            self.not_clean,
            faults.map(|(_, count)| count).sum::<u64>(),
            self.virtual_seconds,
            60.0 * self.runs as f64 / self.wall_seconds.max(0.001),
            self.virtual_seconds / self.cpu_seconds.max(0.001),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_has_not_lived_through_a_fault_says_so() {
        let every = Kind::ALL.map(|kind| mark(&kind));
        let counts = REQUIRED.map(str::to_owned).into_iter().chain(every).map(|mark| (mark, 1)).collect();
        let mut sums = Sums { runs: BATCH, counts, ..Sums::default() };
        assert_eq!(sums.missed(), [""; 0]);
        sums.counts.insert("struck/Blackout".into(), 0);
        sums.counts.remove("replication/rollbacks");
        assert_eq!(sums.missed(), ["replication/rollbacks", "struck/Blackout"]);
        sums.runs = BATCH - 1;
        assert_eq!(sums.missed(), [""; 0], "too few to ask for everything");
    }
}
