//! Deliberate mistakes, and how many seeds it takes to catch each.

use super::{Campaign, each};
use crate::world::{CONTROLS, Control};
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs each deliberate mistake until it is caught: whether all are, in time. Prints how many seeds each has needed, as
/// they are caught. What has caught one is run in another process: whether both are the same to the byte, too.
pub fn controls(at_most: Option<u64>, only: Option<Control>) -> Result<bool, String> {
    println!("{:>6}  {:>6}  mistake", "seeds", "limit");
    let chosen = only.map_or(CONTROLS.to_vec(), |only| vec![only]);
    let limited = chosen.into_iter().filter_map(|control| Some((control, at_most.or(control.limit)?)));
    let mut limited: Vec<_> = limited.collect();
    // Two are looked for at a time, and those that may need the most first: or the last runs alone for long.
    limited.sort_by_key(|(_, limit)| std::cmp::Reverse(*limit));
    let all = AtomicBool::new(true);
    each(2, limited.into_iter(), |(control, limit)| {
        let verdict = caught(control, limit)?;
        let (seeds, what) = match &verdict {
            Verdict::Caught { seed, what } => ((seed + 1).to_string(), what.as_str()),
            Verdict::Missed => ("-".to_owned(), "NOT CAUGHT"),
            Verdict::Differs { seed } => ((seed + 1).to_string(), "DIFFERS in another process"),
        };
        println!("{seeds:>6}  {limit:>6}  {control}: {}", short(what));
        all.fetch_and(matches!(verdict, Verdict::Caught { .. }), Ordering::Relaxed);
        Ok(true)
    })?;
    Ok(all.into_inner())
}

/// What became of a mistake.
enum Verdict {
    Caught {
        seed: u64,
        what: String,
    },
    Missed,
    /// Caught, but the run was another one in another process.
    Differs {
        seed: u64,
    },
}

/// Runs seeds with a mistake, from 0, until one finds what counts.
fn caught(control: Control, limit: u64) -> Result<Verdict, String> {
    let campaign = Campaign { jobs: 1, told: vec![format!("--control={control}")] };
    for seed in 0..limit {
        let outcome = campaign.once(seed)?;
        // A run that broke off has caught nothing.
        if outcome.report.is_none() {
            continue;
        }
        let findings = outcome.findings();
        let Some(first) = findings.iter().find(|finding| finding.starts_with(control.by)) else { continue };
        let same = outcome.is_as(&campaign.once(seed)?);
        let what = first.clone();
        return Ok(if same { Verdict::Caught { seed, what } } else { Verdict::Differs { seed } });
    }
    Ok(Verdict::Missed)
}

fn short(text: &str) -> String {
    text.chars().take(120).collect()
}
