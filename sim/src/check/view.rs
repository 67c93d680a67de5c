//! What a session that has a mailbox selected believes is in it, from what it was shown and told.

use super::index::place_of;
use super::log::{Log, Place};
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

/// Messages and, where told, their flags.
pub type Picture = BTreeMap<Uid, Option<Vec<String>>>;
/// What clients knew of mailboxes when their sessions ended.
type Kept<'a> = BTreeMap<(ClientId, Place<'a>), Picture>;

/// A view, from `Selected` to the end of its session or the next `Selected`.
#[derive(Debug)]
pub struct View<'a> {
    pub place: Place<'a>,
    pub selected: usize,
    pub uid_next: Uid,
    /// None while the view has not been filled.
    pub picture: Option<Picture>,
    /// Whether the client has taken what it was shown into its copy, if it keeps one: a session in which it neither listed nor
    /// resynchronised the mailbox leaves the copy as it was.
    pub adopted: bool,
    /// The last event that said something of a message's flags.
    pub flagged: BTreeMap<Uid, usize>,
    /// Messages and HIGHESTMODSEQ as told when it was selected.
    pub told: (u32, ModSeq),
    /// A resynchronisation at that very modseq after which the picture has another number of messages.
    pub resync: Option<(usize, usize)>,
    /// Notices of new messages and of those that are gone, with their events.
    pub new: Vec<(usize, Uid)>,
    pub gone: Vec<(usize, Uid)>,
    /// All UIDs it was shown, with the first event.
    pub met: BTreeMap<Uid, usize>,
    /// Moments of the quiet end of the run at which the picture was up to date by promise: since when it listened, until when, and what it was.
    pub checked: Vec<Checked>,
}

/// A picture at the end of a time of listening.
#[derive(Debug)]
pub struct Checked {
    /// The event with which it began to listen, or asked.
    pub from: usize,
    /// The last event of that time: it is the end of the run for a session that never stopped.
    pub until: usize,
    pub polled: bool,
    pub picture: Picture,
}

#[derive(Default)]
struct Session<'a> {
    view: Option<View<'a>>,
    idling: Option<usize>,
    asked: Option<usize>,
}

/// All views of a history, in the order in which they end.
pub fn views<'a>(log: &Log<'a>) -> Vec<View<'a>> {
    let mut sessions: BTreeMap<(ClientId, u32), Session> = BTreeMap::new();
    // What a client knew of a mailbox when its session ended: QRESYNC goes on from there.
    let mut kept: Kept = BTreeMap::new();
    let mut done = Vec::new();
    for (ix, event) in log.events.iter().enumerate() {
        let session = sessions.entry((event.client, event.session)).or_default();
        if !matches!(event.what, What::Saw(Sight::Noticed { .. } | Sight::Woken { .. })) {
            session.stop_idling(ix, log.quiet);
        }
        match &event.what {
            What::Asked => session.asked = Some(ix),
            What::Idling => session.idling = Some(ix),
            What::Polled => session.polled(ix, log.quiet),
            What::Connected { .. } | What::Lost { .. } => done.extend(session.close(event.client, &mut kept)),
            What::Saw(sight) => {
                if let Sight::Selected { exists, uid_next, highest_modseq, .. } = sight {
                    done.extend(session.close(event.client, &mut kept));
                    session.view = place_of(sight)
                        .map(|(place, _)| View::new(place, ix, *uid_next, (*exists, *highest_modseq)));
                }
                if let Some(view) = &mut session.view {
                    view.take(ix, sight, kept.get(&(event.client, view.place)));
                }
            }
            _ => {}
        }
    }
    let last = log.events.len().saturating_sub(1);
    for (_, mut session) in sessions {
        session.stop_idling(last, log.quiet);
        done.extend(session.view);
    }
    done
}

impl<'a> Session<'a> {
    /// Pictures from before the `quiet` end of the run can't be compared with anything.
    fn stop_idling(&mut self, ix: usize, quiet: usize) {
        let from = self.idling.take().filter(|_| ix >= quiet);
        if let (Some(from), Some(view)) = (from, &mut self.view) {
            view.check(from, ix, false);
        }
    }

    fn polled(&mut self, ix: usize, quiet: usize) {
        if let (Some(from), Some(view)) = (self.asked.filter(|from| *from >= quiet), &mut self.view) {
            view.check(from, ix, true);
        }
    }

    fn close(&mut self, client: ClientId, kept: &mut Kept<'a>) -> Option<View<'a>> {
        let view = self.view.take()?;
        if let Some(picture) = view.picture.as_ref().filter(|_| view.adopted) {
            kept.insert((client, view.place), picture.clone());
        }
        Some(view)
    }
}

impl<'a> View<'a> {
    fn new(place: Place<'a>, selected: usize, uid_next: Uid, told: (u32, ModSeq)) -> Self {
        Self {
            place,
            selected,
            uid_next,
            picture: (told.0 == 0).then(BTreeMap::new),
            told,
            adopted: false,
            resync: None,
            flagged: BTreeMap::new(),
            new: Vec::new(),
            gone: Vec::new(),
            met: BTreeMap::new(),
            checked: Vec::new(),
        }
    }

    fn check(&mut self, from: usize, until: usize, polled: bool) {
        if let Some(picture) = self.picture.clone() {
            self.checked.push(Checked { from, until, polled, picture });
        }
    }

    /// Takes in a sight of this session, if it is of this mailbox.
    fn take(&mut self, ix: usize, sight: &'a Sight, kept: Option<&Picture>) {
        if place_of(sight).is_none_or(|(place, _)| place != self.place) {
            return;
        }
        self.adopted |= matches!(sight, Sight::Listed { .. } | Sight::Changed { .. });
        match sight {
            Sight::Listed { messages, .. } => self.listed(ix, messages),
            Sight::Fetched { messages, .. } => self.flags(ix, messages),
            Sight::Noticed { new, changed, gone, .. } => {
                self.new.extend(new.iter().map(|m| (ix, m.uid)));
                self.add(ix, new);
                self.flags(ix, changed);
                self.gone.extend(gone.iter().map(|uid| (ix, *uid)));
                self.remove(gone);
            }
            Sight::Changed { upto, changed, gone, .. } => {
                let first = self.met.is_empty() && self.gone.is_empty();
                let known = kept.filter(|_| first);
                if known.is_some() {
                    self.picture = known.cloned();
                }
                self.add(ix, changed);
                self.remove(gone);
                // RFC 7162 §3.2.5: at the modseq that SELECT told, it has to be as many as SELECT told.
                let count = self.picture.as_ref().filter(|_| *upto == self.told.1).map(BTreeMap::len);
                self.resync =
                    count.filter(|n| known.is_some() && *n != self.told.0 as usize).map(|n| (ix, n));
            }
            _ => {}
        }
    }

    fn listed(&mut self, ix: usize, messages: &[Shown]) {
        let old = self.picture.take().unwrap_or_default();
        let listed: BTreeSet<Uid> = messages.iter().map(|m| m.uid).collect();
        self.picture = Some(old.into_iter().filter(|(uid, _)| listed.contains(uid)).collect());
        self.add(ix, messages);
    }

    fn add(&mut self, ix: usize, messages: &[Shown]) {
        for m in messages {
            self.met.entry(m.uid).or_insert(ix);
            if let Some(picture) = &mut self.picture {
                picture.entry(m.uid).or_default();
            }
        }
        self.flags(ix, messages);
    }

    /// Flags of messages that the view has. What it is told of others it can't place.
    fn flags(&mut self, ix: usize, messages: &[Shown]) {
        for m in messages {
            let Some(flags) = &m.flags else { continue };
            if let Some(known) = self.picture.as_mut().and_then(|p| p.get_mut(&m.uid)) {
                *known = Some(flags.clone());
                self.flagged.insert(m.uid, ix);
            }
        }
    }

    fn remove(&mut self, gone: &[Uid]) {
        if let Some(picture) = &mut self.picture {
            for uid in gone {
                picture.remove(uid);
            }
        }
    }
}
