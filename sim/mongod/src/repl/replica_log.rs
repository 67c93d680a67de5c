//! The log of a replica set's member, as its engine sees it.

use super::core::Core;
use super::event::Now;
use super::message::Standing;
use super::settings::Id;
use crate::log::{Log, Refusal, StepDown, Wait};
use crate::oplog::{Body, Entry, OpTime};
use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use gadwall_storage::Clock;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The core, shared by the engine's log and the driver. Locked after the member, never before it.
pub(super) struct Shared {
    core: Mutex<Core>,
    epoch: Instant,
    clock: Arc<dyn Clock>,
    /// The engine has done something that has outputs.
    pub wake: Notify,
}

impl Shared {
    pub fn new(core: Core, epoch: Instant, clock: Arc<dyn Clock>) -> Self {
        Shared { core: Mutex::new(core), epoch, clock, wake: Notify::new() }
    }

    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("a core that has panicked is not to be gone on with")
    }

    pub fn now(&self) -> Now {
        Now { elapsed: self.epoch.elapsed(), wall_ms: self.clock.now().millis() }
    }

    /// As a moment of the runtime's clock.
    pub fn moment(&self, elapsed: Duration) -> Instant {
        self.epoch + elapsed
    }
}

/// [`Log`] over a [`Core`].
pub struct ReplicaLog(pub(super) Arc<Shared>);

impl Log for ReplicaLog {
    fn primary(&self) -> Option<u64> {
        self.0.core().primary()
    }

    fn append(&mut self, body: Body, wall_ms: i64) -> Result<Entry, Refusal> {
        let now = self.0.now();
        let entry = self.0.core().append(now, body, wall_ms);
        self.0.wake.notify_one();
        entry
    }

    fn last(&self) -> OpTime {
        self.0.core().history().last()
    }

    fn committed(&self) -> OpTime {
        self.0.core().committed()
    }

    fn durable(&self) -> OpTime {
        self.0.core().synced
    }

    fn settled(&self, wait: &Wait) -> Option<Result<(), Refusal>> {
        self.0.core().settled(wait)
    }

    fn hello(&self) -> Document {
        self.0.core().hello()
    }

    fn status(&self) -> Document {
        let now = self.0.now();
        self.0.core().status(now)
    }

    fn step_down(&mut self, how: StepDown) -> Option<Result<(), Refusal>> {
        let now = self.0.now();
        let done = self.0.core().step_down(now, how);
        self.0.wake.notify_one();
        done
    }

    fn step_up(&mut self) {
        let now = self.0.now();
        self.0.core().stand(now);
        self.0.wake.notify_one();
    }

    fn give_up_step_down(&mut self) {
        self.0.core().give_up_step_down();
        self.0.wake.notify_one();
    }
}

impl Core {
    fn hello(&self) -> Document {
        let (last, committed) = (self.history().last(), self.committed());
        let me = self.host(self.me);
        let mut hello = doc! {
            "isWritablePrimary": self.primary().is_some(),
            "secondary": self.standing() == Standing::Secondary,
            "setName": &self.settings.set,
            "setVersion": 1,
            "hosts": self.settings.hosts.clone(),
            "me": me,
            "lastWrite": {
                "opTime": position(last),
                "lastWriteDate": DateTime::from_millis(self.history().wall_ms(last)),
                "majorityOpTime": position(committed),
                "majorityWriteDate": DateTime::from_millis(self.history().wall_ms(committed)),
            },
        };
        if let Some(leader) = self.leader {
            hello.insert("primary", self.host(leader));
        }
        if self.primary().is_some() {
            hello.insert("electionId", election_id(self.term()));
        }
        hello
    }

    /// <https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/>
    fn status(&self, now: Now) -> Document {
        let members = 0..self.settings.hosts.len();
        let members: Vec<Bson> = members.map(|id| self.member_status(id, now).into()).collect();
        doc! {
            "set": &self.settings.set,
            "date": DateTime::from_millis(now.wall_ms),
            "myState": if self.standing() == Standing::Primary { 1 } else { 2 },
            "term": self.term().cast_signed(),
            "syncSourceHost": self.pull.source.map_or("", |source| self.host(source)),
            "syncSourceId": self.pull.source.map_or(-1, |source| source as i32),
            "heartbeatIntervalMillis": millis(self.settings.heartbeat),
            "majorityVoteCount": self.settings.majority() as i32,
            "writeMajorityCount": self.settings.majority() as i32,
            "votingMembersCount": self.settings.hosts.len() as i32,
            "writableVotingMembersCount": self.settings.hosts.len() as i32,
            "optimes": {
                "lastCommittedOpTime": position(self.committed()),
                "appliedOpTime": position(self.history().last()),
                "durableOpTime": position(self.synced),
            },
            "members": members,
        }
    }

    fn member_status(&self, id: Id, now: Now) -> Document {
        let name = self.host(id);
        if id == self.me {
            let last = self.history().last();
            let mut status = doc! { "_id": id as i32, "name": name, "health": 1.0 };
            status.extend(state(Some(self.standing())));
            status.extend(optimes(last, self.synced, self.history().wall_ms(last)));
            status.extend(doc! { "uptime": seconds(now.elapsed, self.started), "self": true });
            return status;
        }
        let peer = &self.peers[&id];
        let facts = peer.facts.as_ref().filter(|_| peer.up);
        let mut status = doc! { "_id": id as i32, "name": name, "health": if peer.up { 1.0 } else { 0.0 } };
        status.extend(state(facts.map(|facts| facts.standing)));
        if let Some(facts) = facts {
            status.extend(optimes(facts.last, facts.synced, facts.last_wall_ms));
            status.insert("uptime", seconds(now.elapsed, peer.first_heard));
            status.insert("syncSourceHost", facts.source.map_or("", |source| self.host(source)));
        } else {
            status.extend(optimes(OpTime::default(), OpTime::default(), 0));
            status.insert("uptime", 0_i64);
        }
        status
    }

    fn host(&self, id: Id) -> &str {
        self.settings.hosts.get(id).map_or("", String::as_str)
    }
}

/// MongoDB's `OID::fromTerm`: grows with the term, and is greater than any that is made of a time.
fn election_id(term: u64) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    bytes[4..].copy_from_slice(&term.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// `{ ts, t }`: the timestamp has the term for its seconds, so that what a later primary writes is later.
fn position(at: OpTime) -> Document {
    let half = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let ts = bson::Timestamp { time: half(at.term), increment: half(at.index) };
    doc! { "ts": ts, "t": at.term.cast_signed() }
}

fn optimes(last: OpTime, durable: OpTime, wall_ms: i64) -> Document {
    doc! { "optime": position(last), "optimeDurable": position(durable), "optimeDate": DateTime::from_millis(wall_ms) }
}

/// <https://www.mongodb.com/docs/manual/reference/replica-states/>
fn state(standing: Option<Standing>) -> Document {
    match standing {
        Some(Standing::Primary) => doc! { "state": 1, "stateStr": "PRIMARY" },
        Some(Standing::Secondary) => doc! { "state": 2, "stateStr": "SECONDARY" },
        None => doc! { "state": 8, "stateStr": "(not reachable/healthy)" },
    }
}

fn seconds(now: Duration, since: Duration) -> i64 {
    i64::try_from(now.saturating_sub(since).as_secs()).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
