//! The highest value that was observed before a moment.

/// Observations with their events, each replaced by the highest so far.
#[derive(Debug, Default)]
pub struct Peaks<T> {
    list: Vec<(usize, usize, T)>,
}

impl<T: Copy + Ord> Peaks<T> {
    pub fn new(mut observed: Vec<(usize, T)>) -> Self {
        observed.sort_unstable();
        let mut list: Vec<(usize, usize, T)> = Vec::with_capacity(observed.len());
        for (ix, value) in observed {
            match list.last() {
                Some(&(_, at, top)) if top >= value => list.push((ix, at, top)),
                _ => list.push((ix, ix, value)),
            }
        }
        Self { list }
    }

    /// The highest value of an event before `moment`, and that event.
    pub fn before(&self, moment: usize) -> Option<(usize, T)> {
        let at = self.list.partition_point(|(ix, _, _)| *ix < moment).checked_sub(1)?;
        Some((self.list[at].1, self.list[at].2))
    }
}
