//! Many runs, each in a process of its own: what a process has done before shows in some libraries, and a run that
//! panics or hangs must not take the others along.

pub mod ledger;

use crate::world::{CONTROLS, Control, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Longer than any run takes on a slow machine: what takes longer hangs.
const PATIENCE_SECS: u32 = 300;

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
        // None: nothing more is begun.
        let left = Mutex::new(Some(seeds));
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let next =
                            left.lock().expect("nothing panics here").as_mut().and_then(Iterator::next);
                        let Some(seed) = next else { return };
                        let go_on = self.once(seed).map(&seen).unwrap_or_else(|error| {
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

/// proc(5), `uptime`: the machine's own clock, since the C library's is the simulation's in this program. 0 where there is no
/// such file.
fn uptime_seconds() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}

/// What the processes that have been waited for have used, and theirs: proc(5), `cutime` and `cstime`, in hundredths on
/// every Linux there is. 0 where there is no such file.
fn children_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name comes second, in brackets, and may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// What runs have lived through, together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    runs: u64,
    not_clean: u64,
    wall_seconds: f64,
    cpu_seconds: f64,
    virtual_seconds: f64,
    counts: BTreeMap<String, u64>,
}

impl Sums {
    fn add(&mut self, outcome: &Outcome) {
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
        let faults = Kind::ALL.map(|kind| format!("struck/{kind:?}"));
        let all = REQUIRED.map(str::to_owned).into_iter().chain(faults);
        all.filter(|mark| self.counts.get(mark).is_none_or(|count| *count == 0)).collect()
    }

    /// Says what has not been lived through, if anything.
    fn has_lived_through_everything(&self) -> bool {
        let missed = self.missed();
        for mark in &missed {
            println!("NOT LIVED THROUGH by any of {} runs: {mark}", self.runs);
        }
        missed.is_empty()
    }

    /// Adds what other runs have lived through.
    fn add_all(&mut self, others: &Sums) {
        self.runs += others.runs;
        self.not_clean += others.not_clean;
        self.wall_seconds += others.wall_seconds;
        self.cpu_seconds += others.cpu_seconds;
        self.virtual_seconds += others.virtual_seconds;
        for (name, count) in &others.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
    }

    fn print(&self) {
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

/// Runs each seed in two processes, both at once: whether both are the same to the byte.
pub fn meta(seeds: Range<u64>) -> Result<bool, String> {
    let campaign = Campaign { jobs: 1, told: Vec::new() };
    let mut same = true;
    for seed in seeds {
        let (once, again) = std::thread::scope(|scope| {
            let again = scope.spawn(|| campaign.once(seed));
            (campaign.once(seed), again.join().expect("a run is another process, and nothing panics here"))
        });
        let (once, again) = (once?, again?);
        let equal = once.report.is_some() && once.report == again.report;
        println!("seed {seed}: {}", if equal { "the same twice" } else { "DIFFERS" });
        if once.report.is_none() {
            println!("  {}", once.text);
        }
        same &= equal;
    }
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

/// Runs each deliberate mistake until it is caught: whether all are, in time. Prints how many seeds each has needed.
pub fn controls(at_most: Option<u64>, only: Option<Control>) -> Result<bool, String> {
    let mut all = true;
    println!("{:>6}  {:>6}  mistake", "seeds", "limit");
    let chosen = only.map_or(CONTROLS.to_vec(), |only| vec![only]);
    for control in chosen {
        let Some(limit) = at_most.or(control.limit) else { continue };
        let campaign = Campaign { jobs: 2, told: vec![format!("--control={control}")] };
        let caught = Mutex::new(None);
        campaign.all(0..limit, |outcome| {
            // A run that broke off has caught nothing.
            if outcome.report.is_none() {
                return true;
            }
            let findings = outcome.findings();
            let counts = findings.iter().find(|finding| finding.starts_with(control.by));
            let Some(first) = counts else { return true };
            let mut caught = caught.lock().expect("nothing panics here");
            if caught.as_ref().is_none_or(|(seed, _)| *seed > outcome.seed) {
                *caught = Some((outcome.seed, first.clone()));
            }
            false
        })?;
        match caught.into_inner().expect("nothing panics here") {
            Some((seed, what)) => println!("{:>6}  {limit:>6}  {control}: {}", seed + 1, short(&what)),
            None => {
                println!("{:>6}  {limit:>6}  {control}: NOT CAUGHT", "-");
                all = false;
            }
        }
    }
    Ok(all)
}

fn short(text: &str) -> String {
    text.chars().take(120).collect()
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

    #[test]
    fn a_batch_that_has_not_lived_through_a_fault_says_so() {
        let every = Kind::ALL.map(|kind| format!("struck/{kind:?}"));
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
