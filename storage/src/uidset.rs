//! Sets of UIDs as sorted, merged ranges: small for the contiguous mailboxes that are the rule.

use crate::Uid;
use std::ops::RangeInclusive;

/// A set of UIDs, kept as sorted, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    pub fn new() -> Self {
        Self::default()
    }

    /// Every UID there can be.
    pub fn all() -> Self {
        UidSet { ranges: vec![(1, u32::MAX)] }
    }

    pub fn single(uid: Uid) -> Self {
        UidSet { ranges: vec![(uid.get(), uid.get())] }
    }

    /// The UIDs `first..=last`; empty when `first > last`.
    pub fn range(first: Uid, last: Uid) -> Self {
        let mut set = Self::new();
        set.insert_range(first, last);
        set
    }

    /// Every UID from `first` up.
    pub fn from(first: Uid) -> Self {
        UidSet { ranges: vec![(first.get(), u32::MAX)] }
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs the set holds.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(a, b)| u64::from(b - a) + 1).sum()
    }

    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().and_then(|r| Uid::new(r.0))
    }

    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().and_then(|r| Uid::new(r.1))
    }

    pub fn contains(&self, uid: Uid) -> bool {
        let n = uid.get();
        let i = self.ranges.partition_point(|&(_, b)| b < n);
        self.ranges.get(i).is_some_and(|&(a, _)| a <= n)
    }

    pub fn insert(&mut self, uid: Uid) {
        self.insert_range(uid, uid);
    }

    /// Adds `first..=last`; nothing when `first > last`.
    pub fn insert_range(&mut self, first: Uid, last: Uid) {
        let (a, b) = (first.get(), last.get());
        if a > b {
            return;
        }
        // Appending at the end is the rule.
        match self.ranges.last_mut() {
            None => return self.ranges.push((a, b)),
            Some(l) if l.1 < u32::MAX && a > l.1 + 1 => return self.ranges.push((a, b)),
            Some(l) if a >= l.0 => {
                l.1 = l.1.max(b);
                return;
            }
            _ => {}
        }
        // Ranges that touch or overlap a..=b are `i..j`.
        let i = self.ranges.partition_point(|r| r.1 < u32::MAX && r.1 + 1 < a);
        let j = self.ranges.partition_point(|r| r.0 <= b.saturating_add(1));
        let merged = match self.ranges.get(i..j) {
            Some([]) | None => (a, b),
            Some(hit) => (a.min(hit[0].0), b.max(hit[hit.len() - 1].1)),
        };
        self.ranges.splice(i..j, [merged]);
    }

    /// Takes one UID out; whether it was there.
    pub fn remove(&mut self, uid: Uid) -> bool {
        let n = uid.get();
        let i = self.ranges.partition_point(|&(_, b)| b < n);
        let Some(&(a, b)) = self.ranges.get(i).filter(|r| r.0 <= n) else { return false };
        let left = (a < n).then(|| (a, n - 1));
        let right = (n < b).then(|| (n + 1, b));
        self.ranges.splice(i..=i, left.into_iter().chain(right));
        true
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u32>> + ExactSizeIterator + '_ {
        self.ranges.iter().map(|&(a, b)| a..=b)
    }

    /// The UIDs, ascending. Mind [`UidSet::all`].
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(a, b)| (a..=b).filter_map(Uid::new))
    }

    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let (mut i, mut j, mut out) = (0, 0, Vec::new());
        while let (Some(&(a, b)), Some(&(c, d))) = (self.ranges.get(i), other.ranges.get(j)) {
            let (lo, hi) = (a.max(c), b.min(d));
            if lo <= hi {
                out.push((lo, hi));
            }
            if b < d { i += 1 } else { j += 1 }
        }
        UidSet { ranges: out }
    }

    pub fn union(&self, other: &UidSet) -> UidSet {
        let mut out = self.clone();
        for &(a, b) in &other.ranges {
            if let (Some(a), Some(b)) = (Uid::new(a), Uid::new(b)) {
                out.insert_range(a, b);
            }
        }
        out
    }

    /// The UIDs of `self` that are not in `other`.
    pub fn difference(&self, other: &UidSet) -> UidSet {
        let mut out = Vec::new();
        let mut j = 0;
        for &(a, b) in &self.ranges {
            let mut lo = u64::from(a);
            while let Some(&(c, d)) = other.ranges.get(j) {
                if u64::from(d) < lo {
                    j += 1;
                    continue;
                }
                if c > b {
                    break;
                }
                if u64::from(c) > lo {
                    out.push((lo as u32, c - 1));
                }
                lo = u64::from(d) + 1;
                if d >= b {
                    break;
                }
                j += 1;
            }
            if lo <= u64::from(b) {
                out.push((lo as u32, b));
            }
        }
        UidSet { ranges: out }
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(iter: I) -> Self {
        let mut set = UidSet::new();
        iter.into_iter().for_each(|u| set.insert(u));
        set
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, iter: I) {
        iter.into_iter().for_each(|u| self.insert(u));
    }
}

/// `1:3,7` as RFC 3501 §9 writes a sequence-set.
impl std::fmt::Display for UidSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, &(a, b)) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if a == b { write!(f, "{a}")? } else { write!(f, "{a}:{b}")? }
        }
        Ok(())
    }
}

impl std::fmt::Debug for UidSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(uids: &BTreeSet<u32>) -> UidSet {
        uids.iter().filter_map(|&u| Uid::new(u)).collect()
    }

    fn plain(s: &UidSet) -> BTreeSet<u32> {
        s.iter().map(Uid::get).collect()
    }

    fn is_normal(s: &UidSet) -> bool {
        s.ranges.iter().all(|r| r.0 <= r.1) && s.ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0)
    }

    proptest! {
        #[test]
        fn behaves_like_a_plain_set(ops in prop::collection::vec((1u32..60, 0u32..8, any::<bool>()), 0..40),
                                    other in prop::collection::btree_set(1u32..60, 0..30)) {
            let (mut s, mut model) = (UidSet::new(), BTreeSet::new());
            for (a, len, add) in ops {
                if add {
                    s.insert_range(Uid::new(a).unwrap(), Uid::new(a + len).unwrap());
                    model.extend(a..=a + len);
                } else {
                    prop_assert_eq!(s.remove(Uid::new(a).unwrap()), model.remove(&a));
                }
                prop_assert!(is_normal(&s), "{:?}", s);
                prop_assert_eq!(plain(&s), model.clone());
            }
            let o = set(&other);
            prop_assert_eq!(plain(&s.intersection(&o)), model.intersection(&other).copied().collect());
            prop_assert_eq!(plain(&s.union(&o)), model.union(&other).copied().collect());
            prop_assert_eq!(plain(&s.difference(&o)), model.difference(&other).copied().collect());
            prop_assert_eq!(s.len() as usize, model.len());
            for u in 1..70 { prop_assert_eq!(s.contains(Uid::new(u).unwrap()), model.contains(&u)); }
        }
    }

    #[test]
    fn the_largest_uid_is_an_ordinary_one() {
        let mut s = UidSet::all();
        assert!(s.remove(Uid::new(u32::MAX).unwrap()));
        s.insert(Uid::new(u32::MAX).unwrap());
        assert_eq!(s, UidSet::all());
        assert!(UidSet::all().difference(&UidSet::all()).is_empty());
    }
}
