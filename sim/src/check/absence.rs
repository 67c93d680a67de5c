//! By when a message was certainly not in its mailbox, from listings that lack it and notices that it is gone.

use super::index::Index;
use super::log::{Key, Listing, Place, Seen};
use super::peaks::Peaks;
use crate::history::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, Default)]
pub struct Absence {
    /// End of the first sight that proves it absent although its UID had been passed: it must not appear afterwards.
    pub gone: Option<usize>,
    /// The first listing asked for after it was known to be there, that lacks it.
    pub missed: Option<usize>,
}

pub fn absences<'a>(
    index: &Index<'a>,
    seen: &[Seen<'a>],
    listings: &BTreeMap<Place<'a>, Vec<Listing<'a>>>,
) -> BTreeMap<Key<'a>, Absence> {
    let passed = passed(index, seen);
    let mut all = BTreeMap::new();
    for (&place, messages) in &index.messages {
        let mut open: BTreeMap<Uid, Absence> =
            messages.keys().map(|&uid| (uid, Absence::default())).collect();
        for listing in listings.get(&place).into_iter().flatten() {
            let told = passed.get(&place).and_then(|p| p.before(listing.from)).map_or(0, |(_, uid)| uid);
            let top = told.max(listing.top);
            for (&uid, absence) in open.range_mut(..=top) {
                if (absence.gone.is_some() && absence.missed.is_some()) || listing.has(uid) {
                    continue;
                }
                absence.gone.get_or_insert(listing.ix);
                if messages[&uid].first < listing.from {
                    absence.missed.get_or_insert(listing.ix);
                }
            }
        }
        all.extend(open.into_iter().map(|(uid, absence)| (Key { place, uid }, absence)));
    }
    told_gone(seen, &mut all);
    all
}

/// The highest UID that had been given out, as far as anybody was shown or told.
fn passed<'a>(index: &Index<'a>, seen: &[Seen<'a>]) -> BTreeMap<Place<'a>, Peaks<Uid>> {
    let mut all: BTreeMap<Place, Vec<(usize, Uid)>> = BTreeMap::new();
    for (&place, messages) in &index.messages {
        let list = all.entry(place).or_default();
        for (&uid, known) in messages {
            // That an operation named a UID does not count: nobody may have been shown it.
            let told = known.attempts.iter().map(|(_, ix)| *ix).min();
            list.extend(known.shown.into_iter().chain(told).min().map(|ix| (ix, uid)));
        }
    }
    for s in seen {
        if let Sight::Selected { login, validity, uid_next, .. }
        | Sight::Status { login, validity, uid_next, .. } = s.sight
        {
            let place = Place { login, validity: *validity };
            all.entry(place).or_default().push((s.ix, uid_next.saturating_sub(1)));
        }
    }
    all.into_iter().map(|(place, list)| (place, Peaks::new(list))).collect()
}

/// Notices that a message is gone prove as much as a listing that lacks it.
fn told_gone<'a>(seen: &[Seen<'a>], all: &mut BTreeMap<Key<'a>, Absence>) {
    for s in seen {
        let (login, validity, gone): (&str, _, _) = match s.sight {
            Sight::Noticed { login, validity, gone, .. } => (login, *validity, gone),
            Sight::Changed { login, validity, gone, .. } => (login, *validity, gone),
            _ => continue,
        };
        for &uid in gone {
            if let Some(absence) = all.get_mut(&Key { place: Place { login, validity }, uid }) {
                let first = absence.gone.map_or(s.ix, |ix| ix.min(s.ix));
                absence.gone = Some(first);
                // Nobody makes up that a message is gone: it was there before, shown or not.
                let missed = absence.missed.map_or(s.ix, |ix| ix.min(s.ix));
                absence.missed = Some(missed);
            }
        }
    }
}
