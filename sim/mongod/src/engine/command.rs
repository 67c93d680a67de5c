//! Which command it is, who may run it where, and what every reply bears.

use super::concern::{Pending, ReadConcern, ReadLevel, WriteConcern};
use super::failure::{Failure, Labelled, Stop};
use super::fields;
use super::session::Numbered;
use super::{Answer, Engine, Turn};
use crate::log::Log;
use crate::oplog::{Body, OpTime};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};

/// A command with what it says of itself, wherever it stands.
pub struct Call<'a> {
    pub command: &'a Document,
    pub name: &'a str,
    pub database: &'a str,
    pub numbered: Numbered,
    pub read: ReadConcern,
    pub write: WriteConcern,
    pub now_ms: i64,
}

/// A reply with what it waits for.
pub type Outcome = Result<(Document, Option<Pending>), Stop>;

const OPERATION_NOT_SUPPORTED_IN_TRANSACTION: i32 = 263;
/// What is found before the session is taken, so that its transaction is left alone: InvalidOptions, fields that are
/// missing or unknown. `ExecCommandDatabase` in mongo/db/service_entry_point_shard_role.cpp.
const BEFORE_THE_SESSION: [i32; 4] = [72, OPERATION_NOT_SUPPORTED_IN_TRANSACTION, 40414, 40415];

/// Entries with which a member's time is brought forward at most, by one command.
const CATCH_UP: u64 = 10_000;

pub fn run(engine: &mut Engine, command: &Document, log: &mut dyn Log, now_ms: i64) -> Turn {
    let outcome = Call::parse(command, now_ms).map_err(Stop::from).and_then(|call| {
        let outcome = engine.dispatch(&call, log);
        engine.after(&call, outcome, log)
    });
    let (mut reply, wait) = match outcome {
        Ok(done) => done,
        Err(Stop::Blocked) => return Turn::Blocked,
        Err(Stop::Failed(failure)) => (failure.reply(), None),
    };
    engine.stamp(command, &mut reply, log);
    Turn::Done(Box::new(Answer {
        reply,
        wait,
        labelled: Labelled::of(command),
        forced_labels: None,
        faulty: engine.faulty,
    }))
}

impl<'a> Call<'a> {
    fn parse(command: &'a Document, now_ms: i64) -> Result<Self, Failure> {
        let name = command.keys().next().ok_or_else(|| Failure::unparsable("an empty command"))?;
        Ok(Call {
            command,
            name,
            database: fields::text(command, "$db")?,
            numbered: Numbered::parse(command)?,
            read: ReadConcern::parse(command)?,
            write: WriteConcern::parse(command)?,
            now_ms,
        })
    }

    /// The collection that the command's first field names.
    pub fn ns(&self) -> Result<String, Failure> {
        let wrong = || Failure::new(73, "InvalidNamespace", "collection name has invalid type");
        let collection = self.command.get_str(self.name).map_err(|_| wrong())?;
        if collection.is_empty() || collection.contains('\0') || collection.starts_with('.') {
            return Err(Failure::new(73, "InvalidNamespace", format!("Invalid namespace: '{collection}'")));
        }
        Ok(format!("{}.{collection}", self.database))
    }

    pub fn in_transaction(&self) -> bool {
        matches!(self.numbered, Numbered::Transaction { .. })
    }

    fn only_outside_of_transactions(&self) -> Result<(), Failure> {
        if self.in_transaction() {
            let text = format!("Cannot run '{}' in a multi-document transaction.", self.name);
            return Err(Failure::new(
                OPERATION_NOT_SUPPORTED_IN_TRANSACTION,
                "OperationNotSupportedInTransaction",
                text,
            ));
        }
        Ok(())
    }
}

impl Engine {
    fn dispatch(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        match call.name {
            "find" | "getMore" => {
                self.may_read(call, log)?;
                return if call.name == "find" { self.find(call, log) } else { self.get_more(call, log) };
            }
            "aggregate" => {
                self.may_read(call, log)?;
                return self.count(call, log);
            }
            "killCursors" => return self.kill_cursors(call),
            "insert" | "update" | "delete" => {
                may_write(log)?;
                return self.write(call, log);
            }
            "findAndModify" | "findandmodify" => {
                may_write(log)?;
                return self.find_and_modify(call, log);
            }
            "commitTransaction" => {
                may_write(log)?;
                return self.commit(call, log);
            }
            "abortTransaction" => {
                may_write(log)?;
                return self.abort(call, log);
            }
            _ => call.only_outside_of_transactions()?,
        }
        match call.name {
            "hello" | "isMaster" | "ismaster" => self.hello(call, log),
            "ping" => plain(call, &[]),
            "buildInfo" | "buildinfo" => self.build_info(call),
            "endSessions" | "killSessions" => self.end_sessions(call),
            "configureFailPoint" => self.configure(call),
            "replSetGetStatus" => {
                fields::only(call.command, &[]).map(|()| (ok(log.status()), None)).map_err(Stop::from)
            }
            "replSetStepDown" => self.leave(call, log),
            "listCollections" | "listIndexes" => {
                self.may_read(call, log)?;
                if call.name == "listCollections" {
                    self.list_collections(call, log)
                } else {
                    self.list_indexes(call, log)
                }
            }
            "create" | "createIndexes" | "dropIndexes" | "drop" | "dropDatabase" => {
                may_write(log)?;
                self.define(call, log)
            }
            other => Err(Failure::new(59, "CommandNotFound", format!("no such command: '{other}'")).into()),
        }
    }

    /// An error ends the transaction in which it occurs. A commit or abort that finds none waits all the same, so
    /// that it can be told whether that may change by a rollback.
    fn after(&mut self, call: &Call<'_>, outcome: Outcome, log: &mut dyn Log) -> Outcome {
        let Err(Stop::Failed(failure)) = &outcome else { return outcome };
        let Numbered::Transaction { session, number, .. } = &call.numbered else { return outcome };
        if BEFORE_THE_SESSION.contains(&failure.code) {
            return outcome;
        }
        if !matches!(call.name, "commitTransaction" | "abortTransaction") {
            self.abort_if_open(session, *number);
            return outcome;
        }
        let is_known_here = log.primary().is_some();
        Ok((failure.reply(), is_known_here.then(|| call.write.of(log.last()))))
    }

    /// Reads go to the primary unless their read preference says otherwise.
    fn may_read(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Result<(), Stop> {
        if log.primary().is_none() {
            let mode = match fields::document(call.command, "$readPreference")? {
                None => "primary",
                Some(preference) => fields::text(preference, "mode")?,
            };
            // A cursor lives where it was made.
            if call.name != "getMore" && mode == "primary" || call.in_transaction() {
                return Err(Failure::not_primary_no_secondary_ok().into());
            }
        }
        self.await_time(call, log)
    }

    /// What is read is not older than what the session has seen. A primary writes no-ops until its time has come so
    /// far, as MongoDB does.
    pub fn await_time(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Result<(), Stop> {
        let Some(after) = call.read.after else { return Ok(()) };
        if log.primary() == Some(after.term) && after.index.saturating_sub(log.last().index) <= CATCH_UP {
            while log.last() < after {
                self.append(log, Body::Noop, call.now_ms)?;
            }
        }
        let there = match call.read.level {
            ReadLevel::Local | ReadLevel::Linearizable | ReadLevel::Snapshot => log.last(),
            ReadLevel::Majority => log.committed(),
        };
        if there < after { Err(Stop::Blocked) } else { Ok(()) }
    }

    /// `operationTime` and `$clusterTime`, which drivers pass on.
    fn stamp(&mut self, command: &Document, reply: &mut Document, log: &dyn Log) {
        let told = command.get_document("$clusterTime").and_then(|told| told.get_timestamp("clusterTime"));
        let majority = command
            .get_document("readConcern")
            .is_ok_and(|c| c.get_str("level").is_ok_and(|level| level == "majority"));
        let seen = if majority { log.committed() } else { log.last() };
        if log.last() == OpTime::default() {
            return;
        }
        self.cluster_time = self.cluster_time.max(log.last().timestamp());
        self.cluster_time = self.cluster_time.max(told.unwrap_or(self.cluster_time));
        // Unsigned, as of a server without access control.
        let hash = Binary { subtype: BinarySubtype::Generic, bytes: vec![0; 20] };
        let signature = doc! { "hash": hash, "keyId": 0_i64 };
        reply.insert("$clusterTime", doc! { "clusterTime": self.cluster_time, "signature": signature });
        reply.insert("operationTime", seen.timestamp());
    }
}

fn may_write(log: &dyn Log) -> Result<(), Failure> {
    match log.primary() {
        Some(_) => Ok(()),
        None => Err(crate::Refusal::not_primary().into()),
    }
}

/// A reply without content, of a command without options but these.
pub fn plain(call: &Call<'_>, known: &[&str]) -> Outcome {
    fields::only(call.command, known)?;
    Ok((ok(Document::new()), None))
}

pub fn ok(mut reply: Document) -> Document {
    reply.insert("ok", Bson::Double(1.0));
    reply
}
