//! Ways to spoil a lawful history. Each says whether it could be done; if so, a promise is broken.

use super::chance::Chance;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub struct Spoiler {
    pub name: &'static str,
    pub spoil: fn(&mut Vec<Event>, u64) -> Option<()>,
}
pub const SPOILERS: &[Spoiler] = &[];
