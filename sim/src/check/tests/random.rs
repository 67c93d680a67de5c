//! Lawful histories have no finding; each way to spoil one is found, as what it is.

use super::model::history;
use super::spoil::{SPOILERS, Spoiler};
use crate::check::{Facts, run, story};
use std::time::Duration;

fn facts(quiet: Duration) -> Facts {
    Facts { quiet_from: Some(quiet), healing: Duration::from_secs(1), ..Facts::default() }
}

#[test]
fn lawful_histories_have_no_finding() {
    for seed in 0..2_000 {
        let (events, quiet) = history(seed, 400);
        let findings = run(&events, &facts(quiet));
        let told: Vec<String> = findings.iter().take(2).map(|f| story::story(&events, f)).collect();
        assert!(findings.is_empty(), "seed {seed}: {} findings\n{}", findings.len(), told.join("\n"));
    }
}

#[test]
fn spoilt_histories_are_found() {
    let mut poor = Vec::new();
    for Spoiler { name, promise, spoil } in SPOILERS {
        let (mut cases, mut found, mut missed) = (0, 0, Vec::new());
        for seed in 0..4_000 {
            if cases == 200 {
                break;
            }
            let (mut events, quiet) = history(seed, 400);
            if spoil(&mut events, seed).is_none() {
                continue;
            }
            cases += 1;
            if run(&events, &facts(quiet)).iter().any(|f| f.promise == *promise) {
                found += 1;
            } else {
                missed.push(seed);
            }
        }
        println!(
            "{name:<42} {promise:<17} {found:>4} of {cases:>4}  missed {:?}",
            &missed[..missed.len().min(8)]
        );
        if cases < 20 || found * 100 < cases * 95 {
            poor.push(*name);
        }
    }
    assert!(poor.is_empty(), "found too rarely, or too rarely possible: {poor:?}");
}

#[test]
fn a_long_history_has_no_finding() {
    let (events, quiet) = history(1, 10_000);
    let findings = run(&events, &facts(quiet));
    assert!(findings.is_empty(), "{} events: {:?}", events.len(), findings.first());
}
