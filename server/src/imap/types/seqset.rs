//! Sequence sets as sent: `*` and `$` are known only to the session.

use gadwall_storage::{Uid, UidSet};
use std::num::NonZeroU32;

/// `1,3:5,*` (RFC 3501 §9), of at least one and at most [`SequenceSet::MAX_RANGES`] ranges; or `$`, what the last
/// search has saved (RFC 5182 §2.1), which has none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Vec<(SeqNum, SeqNum)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeqNum {
    Number(NonZeroU32),
    /// `*`: the largest in use.
    Star,
}

impl SequenceSet {
    pub const MAX_RANGES: usize = 10_000;

    /// `$`
    pub const SAVED: SequenceSet = SequenceSet(Vec::new());

    /// `None` if `ranges` is empty or too long. A single number is a range of itself.
    pub fn new(ranges: Vec<(SeqNum, SeqNum)>) -> Option<Self> {
        (!ranges.is_empty() && ranges.len() <= Self::MAX_RANGES).then_some(Self(ranges))
    }

    /// These UIDs by name; `None` if they are none, or too many ranges.
    pub fn of(uids: &UidSet) -> Option<Self> {
        let number = |n| NonZeroU32::new(n).map(SeqNum::Number);
        Self::new(uids.ranges().filter_map(|r| Some((number(*r.start())?, number(*r.end())?))).collect())
    }

    pub fn is_saved(&self) -> bool {
        self.0.is_empty()
    }

    pub fn ranges(&self) -> &[(SeqNum, SeqNum)] {
        &self.0
    }

    /// How many numbers there are, if none of them is `*`.
    pub fn count(&self) -> Option<u64> {
        let has_star = self.0.iter().any(|(a, b)| *a == SeqNum::Star || *b == SeqNum::Star);
        (!has_star)
            .then(|| self.resolve(0).into_iter().map(|(first, last)| u64::from(last - first) + 1).sum())
    }

    /// The UIDs it names, with `*` as `largest`, whether there are such messages or not.
    pub fn uids(&self, largest: u32) -> UidSet {
        let mut named = UidSet::new();
        for (first, last) in self.resolve(largest).into_iter().filter(|(first, last)| first <= last) {
            if let (Some(first), Some(last)) = (Uid::new(first), Uid::new(last)) {
                named.insert_range(first, last);
            }
        }
        named
    }

    /// The ranges with `*` as `largest`, each lowest first (`3:1` is `1:3`, RFC 3501 §9), sorted and merged, so that
    /// `1:*,1:*,1:*` costs no more than `1:*`. With `largest` 0 (an empty mailbox) `*` alone names nothing: `(1, 0)`.
    pub fn resolve(&self, largest: u32) -> Vec<(u32, u32)> {
        let number = move |n: SeqNum| match n {
            SeqNum::Number(n) => n.get(),
            SeqNum::Star => largest,
        };
        let ordered = self.0.iter().map(|&(a, b)| {
            let (a, b) = (number(a), number(b));
            (a.min(b).max(1), a.max(b))
        });
        let mut ranges: Vec<(u32, u32)> = ordered.collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted_and_merged() {
        let number = |n| SeqNum::Number(NonZeroU32::new(n).unwrap());
        let set = |ranges: &[(SeqNum, SeqNum)]| SequenceSet::new(ranges.to_vec()).unwrap();
        let all = (number(1), SeqNum::Star);
        assert_eq!(set(&[all; 3]).resolve(7), [(1, 7)]);
        assert_eq!(
            set(&[(number(9), number(8)), (number(2), number(2)), (number(1), number(1))]).resolve(5),
            [(1, 2), (8, 9)]
        );
        assert_eq!(set(&[(SeqNum::Star, SeqNum::Star)]).resolve(0), [(1, 0)]);
        assert_eq!(set(&[(number(u32::MAX), number(u32::MAX)), all]).resolve(u32::MAX), [(1, u32::MAX)]);
    }
}
