//! Checkers: what a history proves against the promises of the design, one file for each.
//!
//! A checker is a pure function of what clients saw ([`crate::history`]) and of facts handed in. It knows neither the
//! world that made the history nor the server. It believes what was observed and nothing else: where a history
//! allows a lawful explanation there is no finding, because each finding costs somebody a day.

pub mod marks;
pub mod story;

mod absence;
mod agree;
mod audit;
mod bytes;
mod doubled;
mod expiry;
mod expunged;
mod finding;
mod flags;
mod index;
mod log;
mod lost;
mod modseq;
mod moved;
mod notice;
mod peaks;
mod protocol;
mod register;
mod removal;
#[cfg(test)]
mod tests;
mod uid;
mod view;
mod writes;

pub use finding::{Facts, Finding};

use crate::history::Event;
use log::Log;

/// All that the history and the facts prove, promise by promise.
pub fn run(events: &[Event], facts: &Facts) -> Vec<Finding> {
    let log = Log::new(events, facts);
    let checks = [
        lost::check,
        doubled::check,
        uid::check,
        modseq::check,
        writes::check,
        flags::check,
        expunged::check,
        expiry::check,
        moved::check,
        bytes::check,
        notice::check,
        agree::check,
        protocol::check,
    ];
    let mut findings: Vec<Finding> = checks.iter().flat_map(|check| check(&log)).collect();
    findings.extend(audit::check(facts));
    findings
}
