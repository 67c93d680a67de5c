//! Read and write concerns, and what replies wait for.

use super::failpoint::Fault;
use super::failure::{Failure, Labelled, labels};
use super::faulty::Faulty;
use super::{Answer, fields};
use crate::log::{Refusal, Wait};
use crate::oplog::OpTime;
use bson::{Bson, Document, doc};

/// What a reply waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub wait: Wait,
    pub timeout_ms: Option<u64>,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A failure is told beside the reply: the write has been done, here.
    WriteConcern,
    /// A linearizable read: what was read must not be told unless this still was the primary.
    Read,
}

/// Why a wait ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsettled {
    Refused(Refusal),
    TimedOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLevel {
    Local,
    Majority,
    Snapshot,
    Linearizable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadConcern {
    pub level: ReadLevel,
    pub after: Option<OpTime>,
}

impl ReadConcern {
    pub fn parse(command: &Document) -> Result<Self, Failure> {
        let mut concern = ReadConcern { level: ReadLevel::Local, after: None };
        let Some(given) = fields::document(command, "readConcern")? else { return Ok(concern) };
        fields::only_in(given, "readConcern", &["level", "afterClusterTime"])?;
        if given.contains_key("level") {
            concern.level = match fields::text(given, "level")? {
                "local" | "available" => ReadLevel::Local,
                "majority" => ReadLevel::Majority,
                "snapshot" => ReadLevel::Snapshot,
                "linearizable" => ReadLevel::Linearizable,
                other => return Err(Failure::bad_value(format!("readConcern.level: {other} is unknown"))),
            };
        }
        concern.after = match given.get("afterClusterTime") {
            None => None,
            Some(Bson::Timestamp(at)) => Some(OpTime::from_timestamp(*at)),
            Some(other) => {
                return Err(Failure::mistyped(format!("afterClusterTime must be a timestamp, not {other}")));
            }
        };
        Ok(concern)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteConcern {
    pub majority: bool,
    pub journal: bool,
    pub timeout_ms: Option<u64>,
}

impl WriteConcern {
    /// Without one: a majority. <https://www.mongodb.com/docs/manual/reference/write-concern/#implicit-default-write-concern>
    pub fn parse(command: &Document) -> Result<Self, Failure> {
        let mut concern = WriteConcern { majority: true, journal: true, timeout_ms: None };
        let Some(given) = fields::document(command, "writeConcern")? else { return Ok(concern) };
        fields::only_in(given, "writeConcern", &["w", "j", "wtimeout", "wtimeoutMS"])?;
        concern.majority = match given.get("w") {
            None => true,
            Some(Bson::String(w)) if w == "majority" => true,
            Some(Bson::Int32(1) | Bson::Int64(1)) => false,
            Some(other) => {
                return Err(Failure::bad_value(format!("write concern w: {other} is not simulated")));
            }
        };
        concern.journal = concern.majority || fields::flag(given, "j")?;
        let timeout = fields::number(given, "wtimeout")?.or(fields::number(given, "wtimeoutMS")?);
        concern.timeout_ms = timeout.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
        Ok(concern)
    }

    pub fn of(self, at: OpTime) -> Pending {
        let wait = Wait { at, majority: self.majority, journal: self.journal };
        Pending { wait, timeout_ms: self.timeout_ms, purpose: Purpose::WriteConcern }
    }
}

impl Unsettled {
    fn failure(self) -> Failure {
        match self {
            Unsettled::Refused(refusal) => refusal.into(),
            Unsettled::TimedOut => {
                let details = vec![("errInfo", doc! { "wtimeout": true }.into())];
                let failure = Failure::new(64, "WriteConcernFailed", "waiting for replication timed out");
                Failure { details, ..failure }
            }
        }
    }
}

impl Answer {
    /// A reply that is given in place of running the command.
    pub fn refused(reply: Document, command: &Document) -> Self {
        Answer {
            reply,
            wait: None,
            labelled: Labelled::of(command),
            forced_labels: None,
            faulty: Faulty::default(),
        }
    }

    /// The reply to a command that was blocked for too long.
    pub fn too_late() -> Document {
        Failure::new(50, "MaxTimeMSExpired", "operation exceeded time limit").reply()
    }

    /// What a fail point says of the reply.
    pub fn faulty(mut self, fault: &Fault) -> Self {
        if let Some(error) = &fault.write_concern_error {
            self.reply.insert("writeConcernError", error.clone());
        }
        self.forced_labels.clone_from(&fault.labels);
        self
    }

    /// The reply, after what it waited for has been settled.
    pub fn finish(self, settled: Result<(), Unsettled>) -> Document {
        let Answer { mut reply, wait, labelled, forced_labels, faulty } = self;
        if let Err(unsettled) = settled {
            let failure = unsettled.failure();
            match wait.map(|pending| pending.purpose) {
                Some(Purpose::Read) => reply = failure.reply(),
                _ if faulty.no_write_concern_error => {}
                _ => _ = reply.insert("writeConcernError", failure.write_concern_error()),
            }
        }
        let code = reply.get_i32("code").ok().filter(|_| reply.get_f64("ok").is_ok_and(|ok| ok == 0.0));
        let concern = reply.get_document("writeConcernError").and_then(|error| error.get_i32("code")).ok();
        let added = || labels(labelled, code, concern).into_iter().map(str::to_owned).collect();
        let mut labels: Vec<String> = forced_labels.unwrap_or_else(added);
        faulty.garble(&mut reply, &mut labels);
        if !labels.is_empty() {
            reply.insert("errorLabels", labels);
        }
        reply
    }
}
