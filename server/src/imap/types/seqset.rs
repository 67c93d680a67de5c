//! Sequence sets as sent: `*` is known only to the session.

use std::num::NonZeroU32;

/// `1,3:5,*` (RFC 3501 §9). Never empty; at most [`SequenceSet::MAX_RANGES`] ranges.
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

    /// `None` if `ranges` is empty or too long. A single number is a range of itself.
    pub fn new(ranges: Vec<(SeqNum, SeqNum)>) -> Option<Self> {
        (!ranges.is_empty() && ranges.len() <= Self::MAX_RANGES).then_some(Self(ranges))
    }

    pub fn ranges(&self) -> &[(SeqNum, SeqNum)] {
        &self.0
    }

    /// The ranges with `*` as `largest`, each lowest first (`3:1` is `1:3`, RFC 3501 §9), unsorted.
    /// With `largest` 0 (an empty mailbox) `*` alone names nothing.
    pub fn resolve(&self, largest: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let number = move |n: SeqNum| match n {
            SeqNum::Number(n) => n.get(),
            SeqNum::Star => largest,
        };
        self.0.iter().map(move |&(a, b)| {
            let (a, b) = (number(a), number(b));
            (a.min(b).max(1), a.max(b))
        })
    }
}
