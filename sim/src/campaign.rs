//! Many runs, each in a process of its own: what a process has done before shows in some libraries, and a run that
//! panics or hangs must not take the others along.

mod controls;
pub mod ledger;
mod sums;

pub use controls::controls;

use crate::world::{Kind, Plan, Swarm};
use serde_json::Value;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use sums::{Sums, children_cpu_seconds, uptime_seconds};

/// Longer than any run takes on a slow machine: what takes longer hangs.
const PATIENCE_SECS: u32 = 300;

/// Seeds that have found something, each kept for good.
pub const REGRESSIONS: &str = include_str!("../regressions/seeds.txt");

/// How runs are made.
pub struct Campaign {
    pub jobs: usize,
    /// What each is told beside its seed.
    pub told: Vec<String>,
}

/// What is kept of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    /// `None`: it panicked or hung, as the text says.
    pub report: Option<Value>,
    pub text: String,
}

impl Outcome {
    /// Whether both runs came to their end, and are the same: the digest of every byte on the network, and all else that
    /// is reported.
    fn is_as(&self, other: &Outcome) -> bool {
        self.report.is_some() && self.report == other.report
    }

    fn findings(&self) -> Vec<String> {
        let Some(report) = &self.report else { return vec![self.text.clone()] };
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        findings
            .iter()
            .map(|finding| format!("{}: {}", finding[0].as_str().unwrap_or_default(), finding[1]))
            .collect()
    }
}

impl Campaign {
    /// One run.
    fn once(&self, seed: u64) -> Result<Outcome, String> {
        // This very program, even if another has been built in its place meanwhile.
        let program = format!("/proc/{}/exe", std::process::id());
        let output = Command::new("timeout")
            .arg(PATIENCE_SECS.to_string())
            .arg(program)
            .arg(format!("--seed={seed}"))
            .arg("--json")
            .args(&self.told)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("timeout of coreutils does not start: {e}"))?;
        let report = serde_json::from_slice(&output.stdout).ok();
        let text = match report {
            Some(_) => String::new(),
            None => format!("{}: {}", output.status, last(&String::from_utf8_lossy(&output.stderr))),
        };
        Ok(Outcome { seed, report, text })
    }

    /// All, `jobs` at a time; each is shown to `seen` as it ends, which says whether to go on.
    fn all(
        &self,
        seeds: impl Iterator<Item = u64> + Send,
        seen: impl Fn(Outcome) -> bool + Sync,
    ) -> Result<(), String> {
        each(self.jobs, seeds, |seed| self.once(seed).map(&seen))
    }

    /// Whether all are clean. Prints what was found, and in the end what the runs have lived through.
    pub fn run(&self, seeds: Range<u64>) -> Result<bool, String> {
        let sums = self.sum(seeds.clone())?;
        sums.print();
        println!("seeds {}..{}", seeds.start, seeds.end);
        // Runs that are told more than how long to go on are not all there can be.
        let is_everything = self.told.iter().all(|told| told.starts_with("--storm"));
        Ok(sums.not_clean == 0 && (!is_everything || sums.has_lived_through_everything()))
    }

    /// What the runs of these seeds have lived through. Prints what they find as they find it.
    fn sum(&self, seeds: Range<u64>) -> Result<Sums, String> {
        let sums = Mutex::new(Sums::default());
        let (began, cpu) = (uptime_seconds(), children_cpu_seconds());
        self.all(seeds, |outcome| {
            for finding in outcome.findings() {
                println!("seed {}: {finding}", outcome.seed);
                println!("  again: sim/run --seed {} {}", outcome.seed, self.told.join(" "));
            }
            sums.lock().expect("nothing panics here").add(&outcome);
            true
        })?;
        let mut sums = sums.into_inner().expect("nothing panics here");
        sums.wall_seconds = uptime_seconds() - began;
        sums.cpu_seconds = children_cpu_seconds() - cpu;
        Ok(sums)
    }
}

/// Does something with each, `jobs` at a time, until it says not to go on or fails.
fn each<T>(
    jobs: usize,
    things: impl Iterator<Item = T> + Send,
    act: impl Fn(T) -> Result<bool, String> + Sync,
) -> Result<(), String> {
    // None: nothing more is begun.
    let left = Mutex::new(Some(things));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("nothing panics here").as_mut().and_then(Iterator::next);
                    let Some(thing) = next else { return };
                    let go_on = act(thing).unwrap_or_else(|error| {
                        *failed.lock().expect("nothing panics here") = Some(error);
                        false
                    });
                    if !go_on {
                        *left.lock().expect("nothing panics here") = None;
                    }
                }
            });
        }
    });
    failed.into_inner().expect("nothing panics here").map_or(Ok(()), Err)
}

/// Runs seeds in two processes each, both at once: whether both are the same to the byte. These seeds, or if none are
/// named a world where nothing goes wrong, and then seeds from 0 until each kind of fault has struck in one of them.
pub fn meta(seeds: Option<Range<u64>>) -> Result<bool, String> {
    let mut same = true;
    let mut sums = Sums::default();
    let Some(seeds) = seeds else {
        same &= twice(0, true, &mut sums)?;
        for seed in 0..ENOUGH {
            same &= twice(seed, false, &mut sums)?;
            if sums.not_struck().next().is_none() {
                println!("each of {} kinds of faults has struck", Kind::ALL.len());
                return Ok(same);
            }
        }
        println!("NOT STRUCK in any of {ENOUGH} seeds: {:?}", sums.not_struck().collect::<Vec<_>>());
        return Ok(false);
    };
    for seed in seeds {
        same &= twice(seed, false, &mut sums)?;
    }
    Ok(same)
}

/// In so many seeds each kind of fault strikes: a run has a third of them and more.
const ENOUGH: u64 = 30;

/// Runs a seed twice at once: whether both runs are the same.
fn twice(seed: u64, calm: bool, sums: &mut Sums) -> Result<bool, String> {
    let campaign = Campaign { jobs: 1, told: calm.then(|| "--calm".to_owned()).into_iter().collect() };
    let (once, again) = std::thread::scope(|scope| {
        let again = scope.spawn(|| campaign.once(seed));
        (campaign.once(seed), again.join().expect("a run is another process, and nothing panics here"))
    });
    let once = once?;
    let same = once.is_as(&again?);
    let swarm = if calm { Swarm::calm() } else { Plan::of_seed(seed).swarm };
    println!("seed {seed}: {}: {swarm}", if same { "the same twice" } else { "DIFFERS" });
    if once.report.is_none() {
        println!("  {}", once.text);
    }
    sums.add(&once);
    Ok(same)
}

/// Seeds that have found something once, from a text with a line for each: the seed, the commit and what it was.
/// Whether all are clean now. They are told as they end, two at a time.
pub fn regressions(text: &str) -> Result<bool, String> {
    let kept = seeds_of(text)?;
    let campaign = Campaign { jobs: 2, told: Vec::new() };
    let clean = AtomicBool::new(true);
    campaign.all(kept.iter().map(|(seed, _)| *seed), |outcome| {
        let findings = outcome.findings();
        let verdict = if findings.is_empty() { "clean" } else { "AGAIN" };
        let about = kept.iter().filter(|(seed, _)| *seed == outcome.seed).map(|(_, about)| *about);
        let told = findings.iter().map(|finding| format!("\n  {finding}")).collect::<String>();
        println!("seed {}: {}: {verdict}{told}", outcome.seed, about.collect::<Vec<_>>().join("; "));
        clean.fetch_and(findings.is_empty(), Ordering::Relaxed);
        true
    })?;
    Ok(clean.into_inner())
}

fn seeds_of(text: &str) -> Result<Vec<(u64, &str)>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (seed, about) = line.split_once(' ').unwrap_or((line, ""));
        let seed = seed.parse().map_err(|e| format!("{line:?} does not begin with a seed: {e}"))?;
        Ok((seed, about.trim()))
    });
    parsed.collect()
}

fn last(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_that_are_kept_can_be_read() {
        assert!(seeds_of(REGRESSIONS).is_ok());
        let text = "# seeds\n\n7 0123abc a mail that was lost\n8\n";
        assert_eq!(seeds_of(text), Ok(vec![(7, "0123abc a mail that was lost"), (8, "")]));
        assert!(seeds_of("seven").is_err());
    }
}
