//! A set of one member, which is always its primary.

use crate::log::{Log, Refusal, StepDown, Wait};
use crate::oplog::{Body, Entry, OpTime};
use bson::{Bson, Document, doc};

/// A log in memory. What is appended is committed at once, and gone with the process.
#[derive(Debug)]
pub struct Standalone {
    set: String,
    me: String,
    last: OpTime,
}

impl Standalone {
    const TERM: u64 = 1;

    /// `me`: the address at which drivers reach it.
    pub fn new(set: impl Into<String>, me: impl Into<String>) -> Self {
        Standalone { set: set.into(), me: me.into(), last: OpTime::default() }
    }
}

impl Log for Standalone {
    fn primary(&self) -> Option<u64> {
        Some(Self::TERM)
    }

    fn append(&mut self, body: Body, wall_ms: i64) -> Result<Entry, Refusal> {
        self.last = OpTime { term: Self::TERM, index: self.last.index + 1 };
        Ok(Entry { at: self.last, wall_ms, body })
    }

    fn last(&self) -> OpTime {
        self.last
    }

    fn committed(&self) -> OpTime {
        self.last
    }

    fn durable(&self) -> OpTime {
        self.last
    }

    fn settled(&self, wait: &Wait) -> Option<Result<(), Refusal>> {
        (wait.at <= self.last).then_some(Ok(()))
    }

    fn hello(&self) -> Document {
        doc! {
            "isWritablePrimary": true, "secondary": false, "setName": &self.set, "setVersion": 1,
            "hosts": [&self.me], "me": &self.me, "primary": &self.me,
            "electionId": bson::oid::ObjectId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        }
    }

    fn status(&self) -> Document {
        let optime = doc! { "ts": self.last.timestamp(), "t": self.last.term as i64 };
        let me = doc! {
            "_id": 0, "name": &self.me, "health": 1.0, "state": 1, "stateStr": "PRIMARY", "self": true,
            "optime": optime,
        };
        doc! { "set": &self.set, "myState": 1, "term": Self::TERM as i64, "members": [Bson::Document(me)] }
    }

    fn step_down(&mut self, _how: StepDown) -> Option<Result<(), Refusal>> {
        let text = "No electable secondaries caught up: the set has one member";
        Some(Err(Refusal::new(262, "ExceededTimeLimit", text)))
    }

    fn give_up_step_down(&mut self) {}
}
