//! Whether what was read of one flag of one message can be explained: a small linearizability check of a register
//! that is either set or not.
//!
//! Every operation takes effect at one moment between its begin and its end (Herlihy and Wing, "Linearizability",
//! 1990). All orders are tried at once: a configuration is a value together with the open writes that have taken
//! effect. Reads have no effect, so it never hurts to let one take effect as soon as the value fits.

use std::collections::BTreeSet;

/// A write, with the events between which it took effect. One without an end may take effect at any time after
/// its begin, or never; letting it do so more than once is lenient, and keeps the configurations few.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    pub begin: usize,
    pub end: Option<usize>,
    pub value: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Read {
    pub begin: usize,
    pub end: usize,
    pub value: bool,
}

/// More open operations at once than this are not tried: the history is taken to be right.
const OPEN: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    value: bool,
    /// One bit for each slot whose operation has taken effect.
    done: u64,
}

#[derive(Clone, Copy)]
enum Slot {
    Free,
    Write(bool),
    Read(bool),
}

struct Search {
    slots: Vec<Slot>,
    /// Values that a write of unknown outcome may set from now on.
    loose: BTreeSet<bool>,
    now: BTreeSet<Configuration>,
}

/// The event at which no explanation is left, if there is one. `initial`: the value at first, if it is known.
pub fn contradiction(initial: Option<bool>, writes: &[Write], reads: &[Read]) -> Option<usize> {
    let mut steps: Vec<(usize, bool, Slot, usize)> = Vec::new();
    for (id, w) in writes.iter().enumerate() {
        steps.push((w.begin, false, Slot::Write(w.value), id));
        steps.extend(w.end.map(|end| (end, true, Slot::Write(w.value), id)));
    }
    for (id, r) in reads.iter().enumerate() {
        steps.push((r.begin.min(r.end), false, Slot::Read(r.value), writes.len() + id));
        steps.push((r.end, true, Slot::Read(r.value), writes.len() + id));
    }
    // At one event, begins come before ends: that allows the more.
    steps.sort_by_key(|(at, ends, _, id)| (*at, *ends, *id));
    let values = initial.map_or(vec![false, true], |value| vec![value]);
    let now = values.into_iter().map(|value| Configuration { value, done: 0 }).collect();
    let mut search = Search { slots: vec![Slot::Free; OPEN], loose: BTreeSet::new(), now };
    let mut at_slot = vec![usize::MAX; writes.len() + reads.len()];
    for (at, ends, what, id) in steps {
        if ends {
            search.end(at_slot[id]);
            if search.now.is_empty() {
                return Some(at);
            }
        } else if writes.get(id).is_some_and(|w| w.end.is_none()) {
            search.loose.insert(writes[id].value);
            search.settle();
        } else {
            at_slot[id] = search.slots.iter().position(|s| matches!(s, Slot::Free))?;
            search.slots[at_slot[id]] = what;
            search.settle();
        }
    }
    None
}

impl Search {
    /// Lets open operations take effect in every order.
    fn settle(&mut self) {
        let mut todo: Vec<Configuration> = std::mem::take(&mut self.now).into_iter().collect();
        while let Some(next) = todo.pop() {
            let next = self.read(next);
            if !self.now.insert(next) {
                continue;
            }
            todo.extend(self.loose.iter().map(|&value| Configuration { value, ..next }));
            for (bit, slot) in self.slots.iter().enumerate() {
                if let Slot::Write(value) = *slot
                    && next.done & (1 << bit) == 0
                {
                    todo.push(Configuration { value, done: next.done | (1 << bit) });
                }
            }
        }
    }

    fn read(&self, mut configuration: Configuration) -> Configuration {
        for (bit, slot) in self.slots.iter().enumerate() {
            if matches!(*slot, Slot::Read(value) if value == configuration.value) {
                configuration.done |= 1 << bit;
            }
        }
        configuration
    }

    /// Keeps the configurations in which the operation has taken effect.
    fn end(&mut self, slot: usize) {
        let bit = 1 << slot;
        let kept = std::mem::take(&mut self.now).into_iter().filter(|c| c.done & bit != 0);
        self.now = kept.map(|c| Configuration { done: c.done & !bit, ..c }).collect();
        self.slots[slot] = Slot::Free;
    }
}
