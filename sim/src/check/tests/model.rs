//! Concurrent clients of [`Mail`]: makes histories that look suspicious and are right.
//!
//! A client begins something, it takes effect at a moment of its own, and later it ends. Replies get lost, clients
//! are cut off, and what was cut off may still take effect much later.

use super::chance::Chance;
use super::mail::Mail;
use super::reader::Reader;
use crate::history::*;
use std::time::Duration;

pub const LOGINS: [&str; 2] = ["a@sim.test", "b@sim.test"];
pub const NAMES: [&str; 4] = ["INBOX", "Work", "Old", "Work/Deep"];
const FLAGS: [&str; 4] = ["\\Seen", "\\Flagged", "\\Deleted", "$Later"];

/// What a client is doing.
enum Doing {
    Nothing,
    /// An operation that has not taken effect, and one that has.
    Began(OpNo, Call),
    Done(OpNo, Outcome),
    /// A question, and its answer, taken at some moment in between.
    Asked(Duration),
    Answer(Sight),
}

pub struct Model {
    pub mail: Mail,
    pub events: Vec<Event>,
    pub now: Duration,
    pub chance: Chance,
    clients: Vec<(u32, Doing)>,
    readers: Vec<Reader>,
    /// Operations whose clients have gone, that may still take effect.
    orphans: Vec<Call>,
    ops: OpNo,
    mails: u32,
}

/// A lawful history, and since when it is quiet.
pub fn history(seed: u64, steps: usize) -> (Vec<Event>, Duration) {
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step();
    }
    let quiet = model.finish();
    (model.events, quiet)
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut mail = Mail::default();
        for login in LOGINS {
            for name in &NAMES[..2] {
                mail.create(login, name).expect("a new store has no mailboxes");
            }
        }
        let clients = (0..4).map(|_| (1, Doing::Nothing)).collect();
        let readers =
            (0..3).map(|n| Reader::new(10 + n, LOGINS[n as usize % 2], NAMES[n as usize / 2])).collect();
        let (events, orphans) = (Vec::new(), Vec::new());
        Self {
            mail,
            events,
            now: Duration::ZERO,
            chance: Chance(seed),
            clients,
            readers,
            orphans,
            ops: 0,
            mails: 0,
        }
    }

    pub fn record(&mut self, client: ClientId, session: u32, what: What) {
        self.events.push(Event { at: self.now, client, session, what });
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.chance.below(3) as u64 * 5);
        if self.chance.percent(3) && !self.orphans.is_empty() {
            let call = self.orphans.remove(0);
            self.mail.apply(&call);
        }
        let who = self.chance.below(self.clients.len() + self.readers.len());
        if who < self.clients.len() {
            let doing = std::mem::replace(&mut self.clients[who].1, Doing::Nothing);
            let next = self.go_on(who, doing);
            self.clients[who].1 = next;
        } else {
            let at = who - self.clients.len();
            let mut reader = self.readers.remove(at);
            reader.step(self);
            self.readers.insert(at, reader);
        }
    }

    fn go_on(&mut self, who: usize, doing: Doing) -> Doing {
        let (client, session) = (who as ClientId, self.clients[who].0);
        match doing {
            Doing::Nothing if self.chance.percent(50) => {
                let call = self.call();
                self.ops += 1;
                self.record(client, session, What::Invoked { op: self.ops, call: call.clone() });
                Doing::Began(self.ops, call)
            }
            Doing::Nothing => {
                self.record(client, session, What::Asked);
                Doing::Asked(self.now)
            }
            Doing::Began(op, call) => self.effect(who, op, call),
            Doing::Done(op, outcome) => {
                self.record(client, session, What::Ended { op, outcome });
                Doing::Nothing
            }
            Doing::Asked(since) => self.look(since).map_or(Doing::Asked(since), Doing::Answer),
            Doing::Answer(sight) => {
                self.record(client, session, What::Saw(sight));
                Doing::Nothing
            }
        }
    }

    /// The moment of an operation, if nothing goes wrong.
    fn effect(&mut self, who: usize, op: OpNo, call: Call) -> Doing {
        let unknown = Doing::Done(op, Outcome::Unknown("lost".into()));
        match self.chance.below(20) {
            0 => return Doing::Done(op, Outcome::Refused("451 later".into())),
            1 => {
                self.orphans.push(call);
                return unknown;
            }
            2 => {
                // The client dies; what it asked for may happen or not.
                self.orphans.push(call);
                self.clients[who].0 += 1;
                self.record(who as ClientId, self.clients[who].0, What::Connected { node: "node2".into() });
                return Doing::Nothing;
            }
            3 => return unknown,
            _ => {}
        }
        let Some(reply) = self.mail.apply(&call) else {
            return Doing::Done(op, Outcome::Refused("NO".into()));
        };
        if self.chance.percent(7) {
            return unknown;
        }
        // Not every reply tells all; one of an expunge would then be about all that was asked for, and is.
        let left_out = matches!(&reply, Reply::Stored { modified, .. } if !modified.is_empty());
        let tells = left_out || self.chance.percent(70);
        Doing::Done(op, Outcome::Acknowledged(if tells { reply } else { Reply::Done }))
    }

    fn call(&mut self) -> Call {
        let chance = &mut self.chance;
        let login: Login = LOGINS[chance.below(2)].into();
        let boxes: Vec<(Name, UidValidity, Vec<Uid>, ModSeq)> = self
            .mail
            .boxes
            .iter()
            .filter(|((l, _), _)| *l == login)
            .map(|((_, n), b)| (n.clone(), b.validity, b.messages.keys().copied().collect(), b.modseq))
            .collect();
        let (mailbox, validity, uids, modseq) =
            chance.pick(&boxes).cloned().expect("an INBOX is never deleted");
        let some_name: Name = NAMES[chance.below(NAMES.len())].into();
        let kind = if uids.is_empty() { chance.below(8) } else { chance.below(34) };
        let uids = if uids.is_empty() { uids } else { chance.some(&uids) };
        match kind {
            0..=5 => self.send(login, mailbox),
            6 => self.hierarchy(login, some_name),
            7..=10 => self.send(login, mailbox),
            11..=20 => {
                let flags = vec![FLAGS[chance.below(FLAGS.len())].to_owned()];
                let change = match chance.below(5) {
                    0 | 1 => FlagChange::Add(flags),
                    2 | 3 => FlagChange::Remove(flags),
                    _ => FlagChange::Replace(flags),
                };
                let limit = modseq.saturating_sub(chance.below(6) as u64);
                let unchanged_since = chance.percent(30).then_some(limit);
                Call::Store { login, mailbox, validity, uids, change, unchanged_since }
            }
            21..=24 => Call::Copy { login, from: mailbox, validity, uids, to: some_name },
            25..=29 => Call::Move { login, from: mailbox, validity, uids, to: some_name },
            _ => {
                let validity = chance.percent(70).then_some(validity);
                Call::Expunge { login, mailbox, validity, uids }
            }
        }
    }

    fn send(&mut self, login: Login, mailbox: Name) -> Call {
        // Some mails are sent again, by a sender that has not heard what came of the first attempt.
        let again = self.mails > 0 && self.chance.percent(10);
        self.mails += u32::from(!again);
        let attempt = Attempt { mail: self.mails, attempt: self.ops as u32 };
        if self.chance.percent(50) {
            let both = self.chance.percent(20);
            let to = if both { LOGINS.iter().map(|l| (*l).to_owned()).collect() } else { vec![login] };
            return Call::Submit { to, attempt };
        }
        let flags = if self.chance.percent(30) { vec!["\\Seen".to_owned()] } else { Vec::new() };
        Call::Append { login, mailbox, attempt, flags }
    }

    fn hierarchy(&mut self, login: Login, mailbox: Name) -> Call {
        match self.chance.below(6) {
            0..=2 => Call::Create { login, mailbox },
            3 if mailbox != "INBOX" => Call::Delete { login, mailbox },
            _ => Call::Rename { login, from: mailbox, to: NAMES[1 + self.chance.below(3)].into() },
        }
    }

    /// Looks at something, at this moment.
    fn look(&mut self, since: Duration) -> Option<Sight> {
        let names: Vec<(Login, Name)> = self.mail.boxes.keys().cloned().collect();
        let (login, mailbox) = self.chance.pick(&names)?.clone();
        let b = &self.mail.boxes[&(login.clone(), mailbox.clone())];
        let (validity, highest_modseq, uid_next) = (b.validity, b.modseq, b.uid_next);
        let exists = b.messages.len() as u32;
        Some(match self.chance.below(10) {
            0..=3 => {
                let mut messages = b.all();
                for m in &mut messages {
                    if self.chance.percent(20) {
                        (m.attempt, m.intact) = (None, None);
                    }
                }
                Sight::Listed { login, mailbox, validity, since, messages }
            }
            4 => {
                let messages = b.all().into_iter().filter(|_| self.chance.percent(40)).collect();
                Sight::Fetched { login, mailbox, validity, messages }
            }
            5 => Sight::Status { login, mailbox, validity, uid_next, highest_modseq, exists },
            6 => {
                let since = self.chance.below(b.modseq as usize) as ModSeq;
                let changed: Vec<Shown> =
                    b.all().into_iter().filter(|m| m.modseq.is_some_and(|m| m > since)).collect();
                // Those that came and went in between may be left out.
                let told = b.gone.iter().filter(|(at, _, born)| *at > since && *born <= since);
                let gone = told.map(|(_, uid, _)| *uid).collect();
                Sight::Changed { login, mailbox, validity, since, upto: highest_modseq, changed, gone }
            }
            7 => {
                let of_it = names.into_iter().filter(|(l, _)| *l == login);
                Sight::Mailboxes { login: login.clone(), since, names: of_it.map(|(_, n)| n).collect() }
            }
            8 => self.maildrop(&login, since)?,
            _ => {
                let below =
                    self.chance.percent(30).then(|| 1 + self.chance.below(b.uid_next as usize) as Uid);
                Sight::Web { login, since, mailbox, page: b.page(below) }
            }
        })
    }

    fn maildrop(&self, login: &str, since: Duration) -> Option<Sight> {
        let b = self.mail.boxes.get(&(login.to_owned(), "INBOX".to_owned()))?;
        let messages = b.messages.keys().map(|uid| (b.validity, *uid)).collect();
        Some(Sight::Maildrop { login: login.into(), since, messages })
    }

    /// Ends what has begun, lets all sessions hear of it, and lists everything twice.
    fn finish(&mut self) -> Duration {
        for who in 0..self.clients.len() {
            while !matches!(self.clients[who].1, Doing::Nothing) {
                let doing = std::mem::replace(&mut self.clients[who].1, Doing::Nothing);
                let next = self.go_on(who, doing);
                self.clients[who].1 = next;
            }
        }
        for call in std::mem::take(&mut self.orphans) {
            if self.chance.percent(50) {
                self.mail.apply(&call);
            }
        }
        self.now += Duration::from_millis(5);
        let quiet = self.now;
        for mut reader in std::mem::take(&mut self.readers) {
            reader.finish(self);
        }
        self.now += Duration::from_secs(60);
        for client in 0..2 {
            self.list_all(client);
        }
        quiet
    }

    fn list_all(&mut self, client: ClientId) {
        let session = self.clients[client as usize].0 + 1;
        self.clients[client as usize].0 = session;
        self.record(client, session, What::Connected { node: format!("node{client}") });
        let since = self.now;
        let all: Vec<_> = self.mail.boxes.iter().map(|(at, b)| (at.clone(), b.clone())).collect();
        for ((login, mailbox), b) in all {
            self.now += Duration::from_millis(5);
            let (validity, messages, exists) = (b.validity, b.all(), b.messages.len() as u32);
            self.record(client, session, What::Asked);
            let (uid_next, highest_modseq) = (b.uid_next, b.modseq);
            let (l, m) = (login.clone(), mailbox.clone());
            let status = Sight::Status { login: l, mailbox: m, validity, uid_next, highest_modseq, exists };
            self.record(client, session, What::Saw(status));
            let page = b.page(None);
            let web = Sight::Web { login: login.clone(), since: self.now, mailbox: mailbox.clone(), page };
            self.record(client, session, What::Saw(web));
            let listed = Sight::Listed { login, mailbox, validity, since: self.now, messages };
            self.record(client, session, What::Saw(listed));
        }
        for login in LOGINS {
            let names = self.mail.boxes.keys().filter(|(l, _)| l == login).map(|(_, n)| n.clone()).collect();
            self.record(client, session, What::Saw(Sight::Mailboxes { login: login.into(), since, names }));
            let maildrop = self.maildrop(login, since).expect("an INBOX is never deleted");
            self.record(client, session, What::Saw(maildrop));
        }
    }
}
