//! What was found by looking at the machines instead of at the history: each line is a finding.

use super::{Facts, Finding};

pub fn check(facts: &Facts) -> Vec<Finding> {
    let of = |promise, lines: &[String]| -> Vec<Finding> {
        lines.iter().map(|line| Finding::new(promise, line.clone(), [])).collect()
    };
    [of("audit", &facts.audit), of("inside", &facts.inside), of("liveness", &facts.liveness)].concat()
}
