//! A history, read once: operations from end to end, and how old each sight may be.
//!
//! Events are in the order in which they happened, so that an index is a moment. `from` of a sight is the moment it
//! was asked for or, where that is not known, some moment before: whatever ended before `from` has to be in it, and
//! whatever was invoked after the sight's own index can't be.

use super::Facts;
use super::absence::{Absence, absences};
use super::index::Index;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A mailbox for as long as it lives: a UIDVALIDITY is given out once in an account, and stays through a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// First, since numbers are quicker to compare than names.
    pub validity: UidValidity,
    pub login: &'a str,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    pub place: Place<'a>,
    pub uid: Uid,
}

#[derive(Debug)]
pub struct Op<'a> {
    pub no: OpNo,
    pub call: &'a Call,
    pub invoked: usize,
    /// Index of its end, and how it ended.
    pub ended: Option<(usize, &'a Outcome)>,
}

impl<'a> Op<'a> {
    /// Its end and reply, if it was acknowledged.
    pub fn reply(&self) -> Option<(usize, &'a Reply)> {
        match self.ended {
            Some((ix, Outcome::Acknowledged(reply))) => Some((ix, reply)),
            _ => None,
        }
    }

    /// It may have happened: it was not refused.
    pub fn may(&self) -> bool {
        !matches!(self.ended, Some((_, Outcome::Refused(_))))
    }

    /// Certainly over before that moment, whatever came of it.
    pub fn settled_before(&self, moment: usize) -> bool {
        matches!(self.ended, Some((ix, Outcome::Acknowledged(_) | Outcome::Refused(_))) if ix < moment)
    }

    /// The events that tell of it.
    pub fn events(&self) -> Vec<usize> {
        std::iter::once(self.invoked).chain(self.ended.map(|(ix, _)| ix)).collect()
    }
}

/// A sight and its age.
#[derive(Debug)]
pub struct Seen<'a> {
    pub ix: usize,
    pub from: usize,
    pub sight: &'a Sight,
}

/// One message in a sight.
#[derive(Debug)]
pub struct ShownAt<'a> {
    pub ix: usize,
    pub from: usize,
    pub key: Key<'a>,
    pub shown: &'a Shown,
}

/// All the UIDs of a mailbox at one moment between `from` and `ix`.
#[derive(Debug)]
pub struct Listing<'a> {
    pub ix: usize,
    pub from: usize,
    pub place: Place<'a>,
    pub name: &'a str,
    pub uids: Vec<Uid>,
    /// The highest UID that had been given out, as far as the listing itself tells.
    pub top: Uid,
    /// Empty where only the number of messages, none, is known.
    pub messages: &'a [Shown],
}

impl Listing<'_> {
    pub fn has(&self, uid: Uid) -> bool {
        self.uids.binary_search(&uid).is_ok()
    }
}

pub struct Log<'a> {
    pub events: &'a [Event],
    pub facts: &'a Facts,
    pub ops: Vec<Op<'a>>,
    pub seen: Vec<Seen<'a>>,
    pub shown: Vec<ShownAt<'a>>,
    /// By mailbox, in the order in which they ended.
    pub listings: BTreeMap<Place<'a>, Vec<Listing<'a>>>,
    /// Sights asked for from this moment on are final.
    pub quiet: usize,
    pub index: Index<'a>,
    pub absences: BTreeMap<Key<'a>, Absence>,
}

impl<'a> Log<'a> {
    pub fn new(events: &'a [Event], facts: &'a Facts) -> Self {
        let ops = operations(events);
        let seen = sights(events);
        let shown = shown(&seen);
        let listings = listings(&seen);
        let settled = events
            .iter()
            .rposition(|e| matches!(e.what, What::Invoked { .. } | What::Ended { .. }))
            .map_or(0, |ix| ix + 1);
        let healed = facts.quiet_from.map_or(0, |at| events.partition_point(|e| e.at < at));
        let index = Index::new(&ops, &seen, &shown);
        let absences = absences(&index, &seen, &listings);
        Self { events, facts, ops, seen, shown, listings, quiet: settled.max(healed), index, absences }
    }

    /// The final listings of a mailbox.
    pub fn finals<'b>(&'b self, place: Place<'a>) -> impl Iterator<Item = &'b Listing<'a>> {
        let quiet = self.quiet;
        self.listings.get(&place).into_iter().flatten().filter(move |l| l.from >= quiet)
    }

    /// Who did or saw it, and when: the beginning of a sentence.
    pub fn who(&self, ix: usize) -> String {
        let event = &self.events[ix];
        format!("at {:.3} s client {} (session {})", event.at.as_secs_f64(), event.client, event.session)
    }

    /// When, as text.
    pub fn at(&self, ix: usize) -> String {
        format!("{:.3} s", self.events[ix].at.as_secs_f64())
    }
}

fn operations(events: &[Event]) -> Vec<Op<'_>> {
    let mut ops = Vec::new();
    let mut by_no = BTreeMap::new();
    for (ix, event) in events.iter().enumerate() {
        match &event.what {
            What::Invoked { op, call } => {
                by_no.insert(*op, ops.len());
                ops.push(Op { no: *op, call, invoked: ix, ended: None });
            }
            What::Ended { op, outcome } => {
                if let Some(&at) = by_no.get(op) {
                    ops[at].ended = Some((ix, outcome));
                }
            }
            _ => {}
        }
    }
    ops
}

/// What is remembered of a session while its sights are read.
#[derive(Default)]
struct Session {
    connected: usize,
    asked: Option<usize>,
    /// Its last event that a new request of a client that does one thing at a time can't come before.
    step: Option<usize>,
}

fn sights(events: &[Event]) -> Vec<Seen<'_>> {
    let mut sessions: BTreeMap<(ClientId, u32), Session> = BTreeMap::new();
    let mut seen = Vec::new();
    for (ix, event) in events.iter().enumerate() {
        let session = sessions.entry((event.client, event.session)).or_default();
        match &event.what {
            What::Connected { .. } => *session = Session { connected: ix, asked: None, step: Some(ix) },
            What::Asked => (session.asked, session.step) = (Some(ix), Some(ix)),
            What::Ended { .. } => session.step = Some(ix),
            What::Saw(sight) => seen.push(Seen { ix, from: oldest(events, session, sight), sight }),
            _ => {}
        }
    }
    seen
}

/// The moment before which a sight can't have been taken.
fn oldest(events: &[Event], session: &Session, sight: &Sight) -> usize {
    match sight {
        Sight::Listed { since, .. } | Sight::Mailboxes { since, .. } | Sight::Web { since, .. } => {
            let earlier = events.partition_point(|e| e.at < *since);
            // Many things happen at one time of the virtual clock; the session's own steps tell them apart.
            let step = session.step.filter(|&ix| events[ix].at <= *since);
            earlier.max(step.map_or(0, |ix| ix + 1))
        }
        // RFC 1939 §4: a maildrop is what it was when the session logged in, however late it is listed.
        Sight::Maildrop { since, .. } => session.connected.min(events.partition_point(|e| e.at < *since)),
        Sight::Noticed { .. } | Sight::Woken { .. } => 0,
        _ => session.asked.unwrap_or(session.connected),
    }
}

fn shown<'a>(seen: &[Seen<'a>]) -> Vec<ShownAt<'a>> {
    let mut all = Vec::new();
    for s in seen {
        let (login, validity, lists): (&str, _, [&[Shown]; 2]) = match s.sight {
            Sight::Listed { login, validity, messages, .. }
            | Sight::Fetched { login, validity, messages, .. } => (login, *validity, [messages, &[]]),
            Sight::Noticed { login, validity, new, changed, .. } => (login, *validity, [new, changed]),
            Sight::Changed { login, validity, changed, .. } => (login, *validity, [changed, &[]]),
            _ => continue,
        };
        let place = Place { login, validity };
        for shown in lists.into_iter().flatten() {
            all.push(ShownAt { ix: s.ix, from: s.from, key: Key { place, uid: shown.uid }, shown });
        }
    }
    all
}

fn listings<'a>(seen: &[Seen<'a>]) -> BTreeMap<Place<'a>, Vec<Listing<'a>>> {
    let mut all: BTreeMap<Place, Vec<Listing>> = BTreeMap::new();
    for s in seen {
        let (place, name, messages, next): (_, &str, &[Shown], Uid) = match s.sight {
            Sight::Listed { login, mailbox, validity, messages, .. } => {
                (Place { login, validity: *validity }, mailbox, messages, 0)
            }
            // An empty mailbox needs no listing.
            Sight::Selected { login, mailbox, validity, exists: 0, uid_next, .. }
            | Sight::Status { login, mailbox, validity, exists: 0, uid_next, .. } => {
                (Place { login, validity: *validity }, mailbox, &[], *uid_next)
            }
            _ => continue,
        };
        let uids: BTreeSet<Uid> = messages.iter().map(|m| m.uid).collect();
        let top = uids.last().copied().unwrap_or_default().max(next.saturating_sub(1));
        let uids = uids.into_iter().collect();
        all.entry(place).or_default().push(Listing {
            ix: s.ix,
            from: s.from,
            place,
            name,
            uids,
            top,
            messages,
        });
    }
    all
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.login, self.validity)
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UID {} of {}", self.uid, self.place)
    }
}
