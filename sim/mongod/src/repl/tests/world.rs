//! The tests' network: every delivery, write, crash and partition is an event of one queue, drawn from the seed.

use super::faults::{Dice, Faults};
use super::member::{Member, Waiting};
use crate::log::{StepDown, Wait};
use crate::oplog::{Body, Entry, Op};
use crate::repl::event::{Input, Output, Write};
use crate::repl::history::Record;
use crate::repl::message::{Answer, Message, Request};
use crate::repl::{Core, Faulty, Id, Identity, Settings, Witness};
use bson::doc;
use gadwall_storage::SeededEntropy;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds of the world.
pub type Ms = u64;

enum Event {
    Request {
        from: Id,
        life: u64,
        call: u64,
        to: Id,
        message: Message<Request>,
    },
    Answer {
        from: Id,
        to: Id,
        life: u64,
        call: u64,
        message: Message<Answer>,
    },
    /// The time for an answer is over.
    Deadline {
        to: Id,
        life: u64,
        call: u64,
    },
    Synced {
        at: Id,
        life: u64,
    },
    Restart {
        at: Id,
    },
    PowerCut {
        at: Id,
    },
    Heal {
        cut: (Id, Id),
    },
}

pub struct World {
    pub dice: Dice,
    pub faults: Faults,
    pub members: Vec<Member>,
    pub witness: Witness,
    pub acknowledged: Vec<Entry>,
    pub now: Ms,
    pub events_happened: u64,
    settings: Arc<Settings>,
    events: BTreeMap<(Ms, u64), Event>,
    numbered: u64,
    /// Directions in which nothing comes through.
    cuts: BTreeSet<(Id, Id)>,
    /// Calls without an answer: the caller, its life, its number.
    open: BTreeSet<(Id, u64, u64)>,
    /// Requests being answered: who asked.
    inbound: BTreeMap<u64, (Id, u64, u64)>,
}

impl World {
    pub fn new(seed: u64, faulty: Faulty, faults: Faults) -> Self {
        // Not the dice that the faults were drawn with.
        let dice = Dice::new(!seed);
        let hosts = (0..faults.members).map(|id| format!("m{id}:27017")).collect();
        let mut settings = Settings { faulty, ..Settings::new("rs", hosts) };
        if faults.small_batches {
            settings.batch_bytes = 200;
        }
        if faults.close_races {
            settings.jitter_percent = 5;
        }
        let members = (0..faults.members).map(|_| Member::new(1000 + dice.below(faults.skew + 1))).collect();
        let mut world = World {
            dice,
            faults,
            members,
            witness: Witness::default(),
            acknowledged: vec![],
            now: 0,
            events_happened: 0,
            settings: Arc::new(settings),
            events: BTreeMap::new(),
            numbered: 0,
            cuts: BTreeSet::new(),
            open: BTreeSet::new(),
            inbound: BTreeMap::new(),
        };
        (0..world.members.len()).for_each(|id| world.start(id));
        world
    }

    pub fn cores(&self) -> impl Iterator<Item = (Id, &Core)> {
        self.members.iter().enumerate().filter_map(|(id, member)| Some((id, member.core.as_ref()?)))
    }

    /// Lets time pass, with faults or without.
    pub fn run(&mut self, until: Ms, is_unsafe: bool) {
        let mut next_dice = self.now;
        while self.now < until {
            if is_unsafe && self.now >= next_dice {
                self.misfortune();
                next_dice = self.now + 100;
            }
            let ticks = self.members.iter().filter(|m| m.core.is_some()).map(|m| m.next_tick).min();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let next =
                [ticks, event, Some(self.now + 100)].into_iter().flatten().min().expect("one is there");
            self.now = self.now.max(next.min(until));
            self.tick();
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let event = entry.remove();
                self.events_happened += 1;
                self.happen(event);
            }
        }
    }

    /// Everything comes back.
    pub fn heal(&mut self) {
        self.cuts.clear();
        let Faults { loss, strike_vote, strike_primary, .. } = &mut self.faults;
        [*loss, *strike_vote, *strike_primary] = [0; 3];
        self.events.retain(|_, event| !matches!(event, Event::PowerCut { .. }));
        for id in 0..self.members.len() {
            if self.members[id].core.is_none() {
                self.start(id);
            }
        }
    }

    pub fn start(&mut self, id: Id) {
        let identity = Identity {
            me: id,
            settings: self.settings.clone(),
            entropy: Arc::new(SeededEntropy::new(self.dice.below(u64::MAX))),
            witness: self.witness.clone(),
        };
        self.members[id].start(self.now, identity);
        self.carry_out(id);
    }

    /// A client writes to whoever takes it for a primary's.
    pub fn write_to(&mut self, id: Id) {
        let now = self.members[id].now(self.now);
        let Some(core) = &mut self.members[id].core else { return };
        self.numbered += 1;
        let document = doc! { "_id": self.numbered.cast_signed() };
        let body = Body::Write { ops: vec![Op::Put { ns: "a.b".into(), document }], session: None };
        let Ok(entry) = core.append(now, body, now.wall_ms) else { return };
        let wait = Wait { at: entry.at, majority: true, journal: true };
        self.members[id].apply(entry.clone());
        self.members[id].waiting.push(Waiting { wait, entry });
        self.carry_out(id);
    }

    fn misfortune(&mut self) {
        let any = self.dice.below(self.members.len() as u64) as Id;
        if self.dice.chance(self.faults.writes) {
            let burst = 1 + self.dice.below(4);
            (0..self.members.len()).for_each(|id| (0..burst).for_each(|_| self.write_to(id)));
        }
        if self.dice.chance(self.faults.crash) {
            self.crash(any, usize::MAX);
        }
        if self.dice.chance(self.faults.power_cut) {
            self.power_cut(any);
        }
        if self.dice.chance(self.faults.blackout) {
            (0..self.members.len()).for_each(|id| self.power_cut(id));
        }
        if self.dice.chance(self.faults.partition) {
            (0..self.members.len()).for_each(|id| self.cut(any, id, true));
        }
        if self.dice.chance(self.faults.one_way) {
            let other = self.dice.below(self.members.len() as u64) as Id;
            self.cut(any, other, false);
        }
        if self.dice.chance(self.faults.step_down) {
            let now = self.members[any].now(self.now);
            if let Some(core) = &mut self.members[any].core {
                let how = StepDown {
                    freeze: Duration::from_secs(3),
                    patience: Duration::from_millis(self.numbered % 3 * 300),
                    force: self.numbered.is_multiple_of(2),
                };
                let _ = core.step_down(now, how);
            }
            self.carry_out(any);
        }
    }

    fn power_cut(&mut self, id: Id) {
        let kept = self.dice.below(self.members[id].files.pending.len() as u64 + 1);
        let kept = if self.dice.chance(500) { kept } else { 0 };
        self.crash(id, usize::try_from(kept).unwrap());
    }

    fn crash(&mut self, id: Id, kept: usize) {
        if self.members[id].core.is_some() {
            self.members[id].die(kept);
            let back = 10 + self.dice.below(if self.dice.chance(500) { 200 } else { 4000 });
            self.after(back, Event::Restart { at: id });
        }
    }

    fn cut(&mut self, one: Id, other: Id, both_ways: bool) {
        let length = 200 + self.dice.below(6000);
        let directions = if both_ways { vec![(one, other), (other, one)] } else { vec![(one, other)] };
        for cut in directions {
            self.cuts.insert(cut);
            self.after(length, Event::Heal { cut });
        }
    }

    fn tick(&mut self) {
        for id in 0..self.members.len() {
            if self.members[id].next_tick <= self.now {
                self.hand(id, Input::Tick);
            }
        }
    }

    fn hand(&mut self, id: Id, input: Input) {
        let now = self.members[id].now(self.now);
        if let Some(core) = &mut self.members[id].core {
            core.handle(now, input);
            self.carry_out(id);
        }
    }

    fn carry_out(&mut self, id: Id) {
        let Some(core) = &mut self.members[id].core else { return };
        for output in core.take_outputs() {
            self.put_out(id, output);
        }
        self.hold_together(id);
        self.settle(id);
        let member = &mut self.members[id];
        let Some(core) = &member.core else { return };
        let deadline = u64::try_from(core.next_deadline().as_millis()).unwrap() * 1000;
        member.next_tick = deadline.div_ceil(member.pace).max(self.now + 1);
    }

    fn put_out(&mut self, id: Id, output: Output) {
        let life = self.members[id].life;
        match output {
            Output::Call { to, call, message } => {
                self.open.insert((id, life, call));
                self.after(1500, Event::Deadline { to: id, life, call });
                self.send(id, to, Event::Request { from: id, life, call, to, message });
            }
            Output::Reply { to, call, message } => {
                let Some((_, life, call)) = self.inbound.remove(&call) else { return };
                self.send(id, to, Event::Answer { from: id, to, life, call, message });
            }
            Output::Persist { ticket, write } => {
                self.strike(id, &write);
                let files = &mut self.members[id].files;
                files.pending.push_back((ticket, write));
                if files.syncing == 0 {
                    self.sync(id);
                }
            }
            Output::Apply(entry) => self.members[id].apply(entry),
            Output::RollBack { to } => self.members[id].roll_back(to),
            Output::Halt(_) => self.crash(id, usize::MAX),
            Output::CommitPoint(_) | Output::SteppedDown | Output::Changed => {}
        }
    }

    /// What is true of any member at any time.
    fn hold_together(&self, id: Id) {
        let member = &self.members[id];
        let Some(core) = &member.core else { return };
        let last = core.history().last();
        assert_eq!(member.applied.last().map(|entry| entry.at).unwrap_or_default(), last);
        for (what, at) in [("synced", core.synced), ("committed", core.committed())] {
            if !core.history().contains(at) {
                self.witness.find(format!("member {id} takes {at:?} for {what}, and hasn't got it"));
            }
        }
    }

    /// Bad luck at the worst moment.
    fn strike(&mut self, id: Id, write: &Write) {
        let starts_term = |records: &[Record]| matches!(records, [one] if one.entry().is_ok_and(|entry| entry.body == Body::Noop));
        let chance = match write {
            Write::Vote(_) => self.faults.strike_vote,
            Write::Append { records, .. } if starts_term(records) => self.faults.strike_primary,
            _ => return,
        };
        if self.dice.chance(chance) {
            let soon = 1 + self.dice.below(2 * self.faults.latency_ms);
            self.after(soon, Event::PowerCut { at: id });
        }
    }

    fn settle(&mut self, id: Id) {
        let member = &mut self.members[id];
        let Some(core) = &member.core else { return };
        let acknowledged = &mut self.acknowledged;
        member.waiting.retain(|waiting| match core.settled(&waiting.wait) {
            Some(Ok(())) => {
                acknowledged.push(waiting.entry.clone());
                false
            }
            Some(Err(_)) => false,
            None => true,
        });
    }

    /// What is written by now will be durable some time later, together.
    fn sync(&mut self, id: Id) {
        self.members[id].files.syncing = self.members[id].files.pending.len();
        let life = self.members[id].life;
        let time = 1 + self.dice.below(self.faults.sync_ms);
        self.after(time, Event::Synced { at: id, life });
    }

    fn send(&mut self, from: Id, to: Id, event: Event) {
        let is_lost = self.cuts.contains(&(from, to)) || self.dice.chance(self.faults.loss);
        if !is_lost {
            let latency = 1 + self.dice.below(self.faults.latency_ms);
            self.after(latency, event);
        }
    }

    fn after(&mut self, time: Ms, event: Event) {
        self.numbered += 1;
        self.events.insert((self.now + time, self.numbered), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request { from, life, call, to, message } => {
                self.numbered += 1;
                self.inbound.insert(self.numbered, (from, life, call));
                self.hand(to, Input::Request { from, call: self.numbered, message });
            }
            Event::Answer { from, to, life, call, message } => {
                if self.open.remove(&(to, life, call)) && self.members[to].life == life {
                    self.hand(to, Input::Answer { from, call, message });
                }
            }
            Event::Deadline { to, life, call } => {
                if self.open.remove(&(to, life, call)) && self.members[to].life == life {
                    self.fail(to, call);
                }
            }
            Event::Synced { at, life } => self.synced(at, life),
            Event::Restart { at } if self.members[at].core.is_none() => self.start(at),
            Event::Restart { .. } => {}
            Event::PowerCut { at } => self.power_cut(at),
            Event::Heal { cut } => _ = self.cuts.remove(&cut),
        }
    }

    fn fail(&mut self, caller: Id, call: u64) {
        // The core knows calls by number alone; whom it called is of use for its heartbeats only.
        for to in (0..self.members.len()).filter(|to| *to != caller) {
            self.hand(caller, Input::Failed { to, call });
        }
    }

    fn synced(&mut self, id: Id, life: u64) {
        let member = &mut self.members[id];
        if member.life != life || member.core.is_none() {
            return;
        }
        let writes = std::mem::take(&mut member.files.syncing);
        let ticket = member.files.pending[writes - 1].0;
        member.files.keep(writes);
        if !member.files.pending.is_empty() {
            self.sync(id);
        }
        self.hand(id, Input::Persisted { ticket });
    }
}
