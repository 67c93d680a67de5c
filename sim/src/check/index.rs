//! What is known of each message and mailbox over the whole history.

use super::log::{Key, Op, Place, Seen, ShownAt};
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

/// How many renames of one mailbox are followed.
const ROUNDS: usize = 8;

/// What is known of a message.
#[derive(Debug, Default)]
pub struct Known {
    /// The first event that told of it: a sight or the reply to the operation that made it.
    pub first: usize,
    /// The first sight of it.
    pub shown: Option<usize>,
    /// Which attempts its bytes or replies said it is, with the first event that said so. One, if all is well.
    pub attempts: Vec<(Attempt, usize)>,
    /// Operations that named it, as indexes into the log's.
    pub targets: Vec<usize>,
}

impl Known {
    pub fn attempt(&self) -> Option<Attempt> {
        self.attempts.first().map(|(attempt, _)| *attempt)
    }

    fn is(&mut self, attempt: Attempt, ix: usize) {
        match self.attempts.iter_mut().find(|(a, _)| *a == attempt) {
            Some((_, first)) => *first = ix.min(*first),
            None => self.attempts.push((attempt, ix)),
        }
    }
}

#[derive(Debug, Default)]
pub struct Index<'a> {
    pub messages: BTreeMap<Place<'a>, BTreeMap<Uid, Known>>,
    /// Every name a mailbox may have had.
    pub names: BTreeMap<Place<'a>, BTreeSet<String>>,
    /// The latest moment after which a mailbox was still seen.
    pub alive: BTreeMap<Place<'a>, usize>,
    /// Removals of UIDs in mailboxes told by name only, as indexes into the log's operations.
    pub by_name: Vec<usize>,
    /// Deletions and renames of mailboxes, likewise.
    pub unmade: Vec<usize>,
    /// When each attempt was begun.
    pub born: BTreeMap<Attempt, usize>,
}

impl<'a> Index<'a> {
    pub fn new(ops: &[Op<'a>], seen: &[Seen<'a>], shown: &[ShownAt<'a>]) -> Self {
        let mut index = Self::default();
        for s in shown {
            let known = index.message(s.key, s.ix);
            known.shown.get_or_insert(s.ix);
            if let Some(attempt) = s.shown.attempt {
                known.is(attempt, s.ix);
            }
        }
        for s in seen {
            if let Some((place, name)) = place_of(s.sight) {
                index.name(place, name);
                let alive = index.alive.entry(place).or_default();
                *alive = s.from.max(*alive);
            }
        }
        for (at, op) in ops.iter().enumerate() {
            if let Call::Submit { attempt, .. } | Call::Append { attempt, .. } = op.call {
                index.born.entry(*attempt).or_insert(op.invoked);
            }
            index.replied(op);
            index.targeted(at, op);
        }
        index.copied(ops);
        index.renamed(ops);
        index.targeted_by_name(ops);
        index
    }

    pub fn known(&self, key: Key<'a>) -> Option<&Known> {
        self.messages.get(&key.place)?.get(&key.uid)
    }

    pub fn attempt(&self, key: Key<'a>) -> Option<Attempt> {
        self.known(key)?.attempt()
    }

    /// Whether a mailbox may ever have had that name.
    pub fn named(&self, place: Place<'a>, name: &str) -> bool {
        self.names.get(&place).is_some_and(|names| names.contains(name))
    }

    /// Mailboxes of an account that may have had that name.
    pub fn places<'b>(&'b self, login: &'b str, name: &'b str) -> impl Iterator<Item = Place<'a>> + 'b {
        self.names.iter().filter(move |(p, names)| p.login == login && names.contains(name)).map(|(p, _)| *p)
    }

    fn message(&mut self, key: Key<'a>, ix: usize) -> &mut Known {
        let known = self.messages.entry(key.place).or_default().entry(key.uid);
        let known = known.or_insert_with(|| Known { first: ix, ..Known::default() });
        known.first = known.first.min(ix);
        known
    }

    fn name(&mut self, place: Place<'a>, name: &str) {
        let names = self.names.entry(place).or_default();
        if !names.contains(name) {
            names.insert(name.into());
        }
    }

    /// What replies tell of new messages.
    fn replied(&mut self, op: &Op<'a>) {
        let Some((ix, reply)) = op.reply() else { return };
        match (op.call, reply) {
            (Call::Append { login, mailbox, attempt, .. }, Reply::Appended { validity, uids }) => {
                let place = Place { login, validity: *validity };
                self.name(place, mailbox);
                for &uid in uids {
                    self.message(Key { place, uid }, ix).is(*attempt, ix);
                }
            }
            (
                Call::Copy { login, to: name, .. } | Call::Move { login, to: name, .. },
                Reply::Copied { validity, to, .. },
            ) => {
                let place = Place { login, validity: *validity };
                self.name(place, name);
                for &uid in to {
                    self.message(Key { place, uid }, ix);
                }
            }
            _ => {}
        }
    }

    fn targeted(&mut self, at: usize, op: &Op<'a>) {
        let (login, name, validity, uids): (&str, &str, _, _) = match op.call {
            Call::Store { login, mailbox, validity, uids, .. } => (login, mailbox, *validity, uids),
            Call::Copy { login, from, validity, uids, .. }
            | Call::Move { login, from, validity, uids, .. } => (login, from, *validity, uids),
            Call::Expunge { login, mailbox, validity: Some(validity), uids } => {
                (login, mailbox, *validity, uids)
            }
            Call::Expunge { validity: None, .. } => {
                self.by_name.push(at);
                return;
            }
            Call::Delete { .. } | Call::Rename { .. } => {
                self.unmade.push(at);
                return;
            }
            _ => return,
        };
        let place = Place { login, validity };
        self.name(place, name);
        for &uid in uids {
            self.message(Key { place, uid }, op.invoked).targets.push(at);
        }
    }

    /// Removals from a mailbox told by name may have met any that ever had it.
    fn targeted_by_name(&mut self, ops: &[Op<'a>]) {
        for &at in &self.by_name {
            let Call::Expunge { login, mailbox, uids, .. } = ops[at].call else { continue };
            for (place, messages) in &mut self.messages {
                if place.login != login || !self.names.get(place).is_some_and(|names| names.contains(mailbox))
                {
                    continue;
                }
                for uid in uids {
                    if let Some(known) = messages.get_mut(uid) {
                        known.targets.push(at);
                    }
                }
            }
        }
    }

    /// A copy is of the attempt that its source is of. Copies are made in order, so one round carries it along.
    fn copied(&mut self, ops: &[Op<'a>]) {
        for op in ops {
            let (Call::Copy { login, validity: v, .. } | Call::Move { login, validity: v, .. }) = op.call
            else {
                continue;
            };
            let Some((ix, Reply::Copied { validity, from, to })) = op.reply() else { continue };
            for (&source, &target) in from.iter().zip(to) {
                let source = Key { place: Place { login, validity: *v }, uid: source };
                if let Some(attempt) = self.attempt(source) {
                    self.message(Key { place: Place { login, validity: *validity }, uid: target }, ix)
                        .is(attempt, ix);
                }
            }
        }
    }

    /// A mailbox may have had any name that renames lead to or come from: which of those that were not refused
    /// happened, and in which order, is not known.
    fn renamed(&mut self, ops: &[Op<'a>]) {
        let renames = ops.iter().filter(|op| op.may()).filter_map(|op| match op.call {
            // RFC 3501 §6.3.5: renaming INBOX moves its messages and leaves it where it is.
            Call::Rename { login, from, to } if from != "INBOX" => Some((login, from, to)),
            _ => None,
        });
        let renames: Vec<_> = renames.collect();
        // Two renames could lead into each other for ever; no mailbox goes through as many names in a run.
        for _ in 0..ROUNDS {
            let mut found = false;
            for (login, from, to) in &renames {
                for (_, names) in self.names.iter_mut().filter(|(p, _)| p.login == **login) {
                    let both = |name: &String| [below(name, from, to), below(name, to, from)];
                    let more: Vec<String> = names.iter().flat_map(both).flatten().collect();
                    for name in more {
                        found |= names.insert(name);
                    }
                }
            }
            if !found {
                return;
            }
        }
    }
}

/// The name a mailbox has once `from` is renamed, if it is that or below it.
fn below(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = name.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}

/// The mailbox that a sight is of, and the name it had.
pub fn place_of(sight: &Sight) -> Option<(Place<'_>, &str)> {
    match sight {
        Sight::Selected { login, mailbox, validity, .. }
        | Sight::Listed { login, mailbox, validity, .. }
        | Sight::Fetched { login, mailbox, validity, .. }
        | Sight::Noticed { login, mailbox, validity, .. }
        | Sight::Changed { login, mailbox, validity, .. }
        | Sight::Status { login, mailbox, validity, .. } => {
            Some((Place { login, validity: *validity }, mailbox))
        }
        _ => None,
    }
}
