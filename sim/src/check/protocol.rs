//! What a session was told that its protocol forbids.

use super::Finding;
use super::log::Log;
use crate::history::What;

pub fn check(log: &Log) -> Vec<Finding> {
    let violated = log.events.iter().enumerate().filter_map(|(ix, event)| match &event.what {
        What::Violated { rule } => Some((ix, rule)),
        _ => None,
    });
    violated.map(|(ix, rule)| Finding::new("protocol", format!("{} {rule}", log.who(ix)), [ix])).collect()
}
