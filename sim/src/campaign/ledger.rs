//! Campaigns of hours, in parts: each is written down as it ends, so that one that is cut off goes on where it was.

use super::{Campaign, Sums};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// A line of the ledger, as JSON: what the runs of these seeds have lived through, and with which code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    seeds: Range<u64>,
    commit: String,
    #[serde(flatten)]
    sums: Sums,
}

/// Runs what is not in the ledger yet, `part` seeds at a time, and adds a line for each part. One that has found something is run
/// again: it is the code that has to become another. Whether all have been clean and have lived through everything
/// together; prints it.
pub fn run(
    campaign: &Campaign,
    seeds: Range<u64>,
    part: u64,
    commit: &str,
    ledger: &Path,
) -> Result<bool, String> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", ledger.display());
    let text = match std::fs::read_to_string(ledger) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|e| about(&e))?,
    };
    let mut done = parse(&text).map_err(|e| about(&e))?;
    let mut file = std::fs::File::options().create(true).append(true).open(ledger).map_err(|e| about(&e))?;
    for seeds in missing(&done, seeds.clone(), part) {
        let sums = campaign.sum(seeds.clone())?;
        println!("{commit} seeds {}..{}: {sums}", seeds.start, seeds.end);
        let part = Part { seeds, commit: commit.to_owned(), sums };
        let line = serde_json::to_string(&part).map_err(|e| about(&e))?;
        writeln!(file, "{line}").and_then(|()| file.sync_data()).map_err(|e| about(&e))?;
        done.push(part);
    }
    let counted: Vec<&Part> =
        done.iter().filter(|part| is_within(&part.seeds, &seeds) && counts(part, &done)).collect();
    let mut sums = Sums::default();
    counted.iter().for_each(|part| sums.add_all(&part.sums));
    sums.print();
    let commits: BTreeSet<&str> = counted.iter().map(|part| part.commit.as_str()).collect();
    println!(
        "seeds {}..{}, at {}",
        seeds.start,
        seeds.end,
        commits.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(sums.not_clean == 0 && sums.has_lived_through_everything())
}

fn parse(text: &str) -> Result<Vec<Part>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).map_err(|e| format!("line {}: {e}", at + 1))).collect()
}

fn is_within(inner: &Range<u64>, outer: &Range<u64>) -> bool {
    inner.start >= outer.start && inner.end <= outer.end
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Whether a part is the word on its seeds: none that has been run again since is.
fn counts(part: &Part, all: &[Part]) -> bool {
    let last = all.iter().rev().find(|other| overlap(&other.seeds, &part.seeds));
    last.is_some_and(|last| last == part)
}

/// The parts of `seeds` that no clean part covers.
fn missing(done: &[Part], seeds: Range<u64>, part: u64) -> Vec<Range<u64>> {
    let mut clean: Vec<&Range<u64>> =
        done.iter().filter(|part| part.sums.not_clean == 0).map(|part| &part.seeds).collect();
    clean.sort_by_key(|seeds| seeds.start);
    let mut missing = Vec::new();
    let mut at = seeds.start;
    while at < seeds.end {
        if let Some(covered) = clean.iter().find(|covered| covered.contains(&at)) {
            at = covered.end;
            continue;
        }
        let next = clean.iter().map(|covered| covered.start).find(|start| *start > at).unwrap_or(u64::MAX);
        let end = seeds.end.min(next).min(at.saturating_add(part.max(1)));
        missing.push(at..end);
        at = end;
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(seeds: Range<u64>, not_clean: u64) -> Part {
        let runs = seeds.end - seeds.start;
        Part { seeds, commit: "0123abc".into(), sums: Sums { runs, not_clean, ..Sums::default() } }
    }

    #[test]
    fn what_is_clean_is_not_run_again() {
        let done = [part(0..10, 0), part(10..20, 1), part(25..30, 0)];
        assert_eq!(missing(&done, 0..42, 8), [10..18, 18..25, 30..38, 38..42]);
        assert!(missing(&done, 2..9, 8).is_empty());
        assert_eq!(missing(&[], 5..7, 0), [5..6, 6..7]);
    }

    #[test]
    fn a_part_that_has_been_run_again_counts_once() {
        let all = [part(0..10, 1), part(10..20, 0), part(0..10, 0)];
        let counted: Vec<bool> = all.iter().map(|part| counts(part, &all)).collect();
        assert_eq!(counted, [false, true, true]);
    }

    #[test]
    fn a_line_can_be_read_again() {
        let part = part(0..10, 1);
        let line = serde_json::to_string(&part).expect("JSON");
        assert_eq!(parse(&format!("{line}\n\n{line}\n")), Ok(vec![part.clone(), part]));
        assert!(parse("{}").is_err_and(|error| error.starts_with("line 1: ")));
    }
}
