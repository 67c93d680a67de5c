//! Message bytes come back exactly as they were sent.

use super::Finding;
use super::log::Log;

pub fn check(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for seen in &log.shown {
        if seen.shown.intact == Some(false) {
            let attempt = seen.shown.attempt;
            let text = format!(
                "{} shows {} (attempt {attempt:?}) with bytes that nobody sent",
                log.who(seen.ix),
                seen.key
            );
            findings.push(Finding::new("bytes", text, [seen.ix]));
        }
    }
    findings
}
