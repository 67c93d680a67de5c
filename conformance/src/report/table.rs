//! Tables of outcomes: one server by RFC and section, or several servers side by side.

use crate::clauses::place;
use crate::verdict::{Outcome, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How a table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Text,
    Markdown,
}

/// How many cases went which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    should: usize,
    skipped: usize,
    suspect: usize,
    errors: usize,
    /// Of those that failed or deviate: known to the profile.
    known: usize,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        let known = usize::from(outcome.known.is_some());
        match outcome.verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail(_) => self.failed += 1,
            Verdict::ShouldDeviation(_) => self.should += 1,
            Verdict::Skip(_) => self.skipped += 1,
            Verdict::Suspect(_) => self.suspect += 1,
            Verdict::HarnessError(_) => self.errors += 1,
        }
        self.known += known;
    }

    /// `12 of 13, 1 known`: what is not skipped.
    fn short(&self) -> String {
        let run = self.passed + self.failed + self.should + self.suspect + self.errors;
        match (run, run - self.passed) {
            (0, _) => "-".into(),
            (_, 0) => self.passed.to_string(),
            _ => format!("{} of {run}", self.passed),
        }
    }

    fn cells(&self) -> [String; 7] {
        let shown = |n: usize| if n == 0 { ".".to_owned() } else { n.to_string() };
        let all =
            [self.passed, self.failed, self.should, self.skipped, self.suspect, self.errors, self.known];
        all.map(shown)
    }
}

/// RFC and section of a clause, in the order of numbers rather than letters.
type Place = (u32, Vec<u32>, String);

fn key(clause: &str) -> Place {
    let Some((rfc, section)) = place(clause) else { return (u32::MAX, Vec::new(), clause.to_owned()) };
    let numbers = section.split('.').map(|n| n.parse().unwrap_or(u32::MAX)).collect();
    (rfc.parse().unwrap_or(u32::MAX), numbers, format!("RFC {rfc} §{section}"))
}

fn heading((rfc, _, name): &Place) -> String {
    if *rfc == u32::MAX { name.clone() } else { format!("RFC {rfc}") }
}

/// One server: a line for each section and each RFC, and the sum.
pub fn table(outcomes: &[Outcome]) -> String {
    let (mut sections, mut rfcs) = (BTreeMap::<Place, Counts>::new(), BTreeMap::<u32, Counts>::new());
    let mut sum = Counts::default();
    for outcome in outcomes {
        let key = key(&outcome.clause);
        rfcs.entry(key.0).or_default().add(outcome);
        sections.entry(key).or_default().add(outcome);
        sum.add(outcome);
    }
    let head =
        ["", "pass", "fail", "should", "skip", "suspect", "error", "known"].map(str::to_owned).to_vec();
    let row = |name: String, counts: &Counts| [vec![name], counts.cells().to_vec()].concat();
    let mut rows = vec![head];
    let mut last = None;
    for (place, counts) in &sections {
        if last != Some(place.0) {
            rows.push(row(heading(place), &rfcs[&place.0]));
            last = Some(place.0);
        }
        if place.0 != u32::MAX {
            let section = place.2.split_once(' ').and_then(|(_, rest)| rest.split_once(' '));
            rows.push(row(format!("  {}", section.map_or(place.2.as_str(), |(_, s)| s)), counts));
        }
    }
    rows.push(row("all".into(), &sum));
    drawn(&rows, Style::Text)
}

/// Several servers: a line for each RFC, a column for each server, and below what deviates where.
pub fn compared(servers: &[(String, Vec<Outcome>)], style: Style) -> String {
    let mut rfcs: BTreeSet<(u32, String)> = BTreeSet::new();
    let mut counts: BTreeMap<(u32, usize), Counts> = BTreeMap::new();
    let mut sums = vec![Counts::default(); servers.len()];
    for (at, (_, outcomes)) in servers.iter().enumerate() {
        for outcome in outcomes {
            let key = key(&outcome.clause);
            counts.entry((key.0, at)).or_default().add(outcome);
            rfcs.insert((key.0, heading(&key)));
            sums[at].add(outcome);
        }
    }
    let mut rows =
        vec![[vec![String::new()], servers.iter().map(|(name, _)| name.clone()).collect()].concat()];
    for (rfc, name) in rfcs {
        let cell = |at| counts.get(&(rfc, at)).map_or_else(|| "-".to_owned(), Counts::short);
        rows.push([vec![name], (0..servers.len()).map(cell).collect()].concat());
    }
    let line = |name: &str, of: fn(&Counts) -> usize| {
        [vec![name.to_owned()], sums.iter().map(|sum| of(sum).to_string()).collect()].concat()
    };
    rows.push(line("passed", |c| c.passed));
    rows.push(line("failed", |c| c.failed));
    rows.push(line("SHOULD not followed", |c| c.should));
    rows.push(line("skipped", |c| c.skipped));
    rows.push(line("suspect", |c| c.suspect));
    rows.push(line("harness errors", |c| c.errors));
    rows.push(line("of these known", |c| c.known));
    drawn(&rows, style)
}

/// The first row is the head; all but the first column are aligned to the right.
fn drawn(rows: &[Vec<String>], style: Style) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let cells: Vec<String> = cells.collect();
        let _ = match style {
            Style::Text => writeln!(out, "{}", cells.join("  ").trim_end()),
            Style::Markdown => writeln!(out, "| {} |", cells.join(" | ")),
        };
        if number == 0 && style == Style::Markdown {
            let _ = writeln!(out, "|{}---|", "---|".repeat(columns - 1));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(clause: &str, verdict: Verdict) -> Outcome {
        Outcome { id: "x".into(), clause: clause.into(), verdict, ms: 0, known: None }
    }

    #[test]
    fn sections_stand_below_their_rfc_in_the_order_of_numbers() {
        let drawn = table(&[
            outcome("RFC 3501 §6.4.10 x", Verdict::Pass),
            outcome("RFC 3501 §6.4.9", Verdict::Fail("x".into())),
            outcome("RFC 822 §1", Verdict::Skip("x".into())),
        ]);
        let first: Vec<String> = drawn
            .lines()
            .skip(1)
            .map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(first, ["RFC 822", "§1 .", "RFC 3501", "§6.4.9 .", "§6.4.10 1", "all 1"], "{drawn}");
    }

    #[test]
    fn servers_stand_side_by_side() {
        let one =
            vec![outcome("RFC 3501 §1", Verdict::Pass), outcome("RFC 3501 §2", Verdict::Fail("x".into()))];
        let two =
            vec![outcome("RFC 3501 §1", Verdict::Pass), outcome("RFC 6851 §3", Verdict::Skip("MOVE".into()))];
        let drawn = compared(&[("one".into(), one), ("two".into(), two)], Style::Markdown);
        assert!(drawn.contains("| RFC 3501            | 1 of 2 |   1 |"), "{drawn}");
        assert!(drawn.contains("| RFC 6851            |      - |   - |"), "{drawn}");
        assert!(drawn.lines().nth(1) == Some("|---|---|---|"), "{drawn}");
    }
}
