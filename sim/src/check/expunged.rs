//! What was expunged never comes back, and nothing goes that nobody asked to remove.

use super::Finding;
use super::log::Log;
use super::removal::removed;
use std::collections::BTreeSet;

pub fn check(log: &Log) -> Vec<Finding> {
    let mut findings = came_back(log);
    for (&key, absence) in &log.absences {
        let Some(missed) = absence.missed else { continue };
        let Some(known) = log.index.known(key) else { continue };
        // What only an acknowledgement has told of is for `lost` and `read your writes`.
        if known.shown.is_some_and(|ix| ix < missed) && !log.may_be_gone(key, missed) {
            let text = format!(
                "{} finds {key} gone, and nobody has asked to remove it; it was known since {}",
                log.who(missed),
                log.at(known.first)
            );
            findings.push(Finding::new("expunged", text, [known.first, missed]));
        }
    }
    findings
}

/// Messages shown again after they were seen to be gone, or after their removal was acknowledged and in the end.
fn came_back(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for seen in &log.shown {
        let Some(gone) = log.absences.get(&seen.key).and_then(|a| a.gone) else { continue };
        let before = log.index.known(seen.key).and_then(|k| k.shown).is_some_and(|ix| ix < gone);
        if gone < seen.from && before && told.insert(seen.key) {
            let text = format!(
                "{} is shown {} again, which was gone at {}",
                log.who(seen.ix),
                seen.key,
                log.at(gone)
            );
            findings.push(Finding::new("expunged", text, [gone, seen.ix]));
        }
    }
    for op in &log.ops {
        let Some((end, _)) = op.reply() else { continue };
        for key in removed(log, op) {
            let last = log.finals(key.place).find(|l| l.from > end && l.has(key.uid));
            if let Some(listing) = last.filter(|_| told.insert(key)) {
                let text = format!(
                    "{key} is there in the end ({}), though its removal by operation {} was acknowledged at {}",
                    log.at(listing.ix),
                    op.no,
                    log.at(end)
                );
                findings.push(Finding::new("expunged", text, [op.invoked, end, listing.ix]));
            }
        }
    }
    findings
}
