//! Commands about the member, its collections and its sessions.

use super::Engine;
use super::command::{Call, Outcome, ok, plain};
use super::failure::{Failure, Stop};
use super::fields;
use super::session::session_id;
use super::write::BATCH_LIMIT;
use super::writer::DOCUMENT_LIMIT;
use crate::log::{Log, StepDown};
use crate::oplog::{Body, Op};
use crate::wire::MESSAGE_LIMIT;
use bson::{Bson, DateTime, Document, doc};
use std::time::Duration;

/// What is spoken here is MongoDB 7.0's.
const WIRE_VERSION: i32 = 21;
const VERSION: &str = "7.0.0";

impl Engine {
    pub fn hello(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        // No topologyVersion is ever answered, so a driver that sends one back has it from somewhere else.
        let known = ["helloOk", "client", "backpressure", "compression", "loadBalanced"];
        fields::only(call.command, &known)?;
        let mut reply = log.hello();
        if call.name != "hello" {
            let primary = fields::flag(&reply, "isWritablePrimary")?;
            reply.insert("ismaster", primary);
        }
        if fields::flag(call.command, "helloOk")? {
            reply.insert("helloOk", true);
        }
        reply.extend(doc! {
            "maxBsonObjectSize": DOCUMENT_LIMIT as i32,
            "maxMessageSizeBytes": MESSAGE_LIMIT as i32,
            "maxWriteBatchSize": BATCH_LIMIT as i32,
            "localTime": DateTime::from_millis(call.now_ms),
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": WIRE_VERSION,
            "readOnly": false,
        });
        Ok((ok(reply), None))
    }

    pub fn build_info(&self, call: &Call<'_>) -> Outcome {
        plain(call, &[])?;
        let version = vec![7, 0, 0, 0];
        let reply = doc! {
            "version": VERSION, "versionArray": version, "modules": ["simulated"],
            "maxBsonObjectSize": DOCUMENT_LIMIT as i32,
        };
        Ok((ok(reply), None))
    }

    /// Both end what is open. What the log remembers of a session stays: a retry may still be on its way.
    pub fn end_sessions(&mut self, call: &Call<'_>) -> Outcome {
        fields::only(call.command, &[])?;
        for lsid in fields::documents(call.command, call.name)? {
            let session = session_id(lsid)?;
            self.sessions.abort_open(&session);
            self.cursors.close_of_session(&session);
        }
        Ok((ok(Document::new()), None))
    }

    pub fn configure(&mut self, call: &Call<'_>) -> Outcome {
        self.fail_point.configure(call.command)?;
        Ok((ok(Document::new()), None))
    }

    /// `replSetStepDown`.
    pub fn leave(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let Some(done) = log.step_down(step_down_of(call.command)?) else { return Err(Stop::Blocked) };
        done?;
        self.step_down();
        Ok((ok(Document::new()), None))
    }

    pub fn list_collections(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let known = ["nameOnly", "cursor", "filter", "authorizedCollections"];
        fields::only(call.command, &known)?;
        if fields::document(call.command, "filter")?.is_some_and(|filter| !filter.is_empty()) {
            return Err(Failure::bad_value("listCollections: a filter is not simulated").into());
        }
        let names = self.store.names(call.database, log.last().index);
        let entry = |name: String| Bson::Document(doc! { "name": name, "type": "collection" });
        let batch: Vec<Bson> = names.into_iter().map(entry).collect();
        let ns = format!("{}.$cmd.listCollections", call.database);
        Ok((ok(doc! { "cursor": { "firstBatch": batch, "id": 0_i64, "ns": ns } }), None))
    }

    pub fn list_indexes(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        fields::only(call.command, &["cursor"])?;
        let (ns, at) = (call.ns()?, log.last().index);
        let collection = self.store.collection(&ns).filter(|collection| collection.exists(at));
        let missing = || Failure::new(26, "NamespaceNotFound", format!("ns does not exist: {ns}"));
        let collection = collection.ok_or_else(missing)?;
        let mut batch = vec![Bson::Document(doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" })];
        batch.extend(collection.indexes(at).cloned().map(Bson::Document));
        Ok((ok(doc! { "cursor": { "firstBatch": batch, "id": 0_i64, "ns": ns } }), None))
    }

    /// `create`, `createIndexes`, `dropIndexes`, `drop`, `dropDatabase`: one entry, once no open transaction is in the way.
    pub fn define(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let at = log.last().index;
        let (ops, reply) = match call.name {
            "create" => self.create(call, at)?,
            "createIndexes" => self.create_indexes(call, at)?,
            "dropIndexes" => self.drop_index(call, at)?,
            "drop" => {
                fields::only(call.command, &[])?;
                let ns = call.ns()?;
                match self.store.collection(&ns).filter(|collection| collection.exists(at)) {
                    Some(collection) => {
                        let indexes = 1 + collection.indexes(at).count() as i32;
                        (vec![Op::Drop { ns: ns.clone() }], doc! { "nIndexesWas": indexes, "ns": ns })
                    }
                    // Since MongoDB 7.0, no error.
                    None => (Vec::new(), Document::new()),
                }
            }
            _ => {
                fields::only(call.command, &[])?;
                let names = self.store.names(call.database, at).into_iter();
                let drop = |name| Op::Drop { ns: format!("{}.{name}", call.database) };
                (names.map(drop).collect(), doc! { "dropped": call.database })
            }
        };
        let in_the_way = |op: &Op| match op {
            Op::Drop { ns } | Op::Index { ns, .. } | Op::DropIndex { ns, .. } => self.sessions.holds(ns),
            _ => false,
        };
        if ops.iter().any(in_the_way) {
            return Err(Stop::Blocked);
        }
        if !ops.is_empty() {
            self.append(log, Body::Write { ops, session: None }, call.now_ms)?;
        }
        Ok((ok(reply), Some(call.write.of(log.last()))))
    }

    /// By its name only.
    fn drop_index(&self, call: &Call<'_>, at: u64) -> Result<(Vec<Op>, Document), Failure> {
        fields::only(call.command, &["index"])?;
        let (ns, name) = (call.ns()?, fields::text(call.command, "index")?);
        let collection = self.store.collection(&ns).filter(|collection| collection.exists(at));
        let missing = || Failure::new(26, "NamespaceNotFound", format!("ns not found {ns}"));
        let collection = collection.ok_or_else(missing)?;
        if name == "*" || name == "_id_" {
            return Err(Failure::new(
                72,
                "InvalidOptions",
                format!("dropping the index '{name}' is not simulated"),
            ));
        }
        if collection.index(name, at).is_none() {
            return Err(Failure::new(27, "IndexNotFound", format!("index not found with name [{name}]")));
        }
        let before = 1 + collection.indexes(at).count() as i32;
        Ok((vec![Op::DropIndex { ns, name: name.to_owned() }], doc! { "nIndexesWas": before }))
    }

    fn create(&self, call: &Call<'_>, at: u64) -> Result<(Vec<Op>, Document), Failure> {
        fields::only(call.command, &[])?;
        let ns = call.ns()?;
        if self.store.exists(&ns, at) {
            let text = format!("Collection {ns} already exists.");
            return Err(Failure::new(48, "NamespaceExists", text));
        }
        Ok((vec![Op::Create { ns }], Document::new()))
    }

    fn create_indexes(&self, call: &Call<'_>, at: u64) -> Result<(Vec<Op>, Document), Failure> {
        fields::only(call.command, &["indexes"])?;
        let ns = call.ns()?;
        let collection = self.store.collection(&ns);
        let before = 1 + collection.map_or(0, |collection| collection.indexes(at).count());
        let given = fields::documents(call.command, "indexes")?;
        if given.is_empty() {
            return Err(Failure::bad_value("Must specify at least one index to create"));
        }
        let mut specs: Vec<Document> = Vec::new();
        for given in given {
            let spec = index_of(given)?;
            let known = collection.into_iter().flat_map(|collection| collection.indexes(at));
            if is_new(&spec, known.chain(&specs))? {
                specs.push(spec);
            }
        }
        let ops: Vec<Op> = specs.into_iter().map(|spec| Op::Index { ns: ns.clone(), spec }).collect();
        let after = before + ops.len();
        let automatically = !self.store.exists(&ns, at);
        let mut reply = doc! { "numIndexesBefore": before as i32, "numIndexesAfter": after as i32 };
        if ops.is_empty() {
            reply.insert("note", "all indexes already exist");
        } else {
            reply.insert("createdCollectionAutomatically", automatically);
        }
        Ok((ops, reply))
    }
}

fn index_of(given: &Document) -> Result<Document, Failure> {
    if let Some(field) = given.keys().find(|field| !["key", "name", "sparse", "v"].contains(&field.as_str()))
    {
        let text = format!("The field '{field}' is not valid for an index specification");
        return Err(Failure::new(197, "InvalidIndexSpecificationOption", text));
    }
    let required = |field: &str| {
        let text = format!("The '{field}' field is a required property of an index specification");
        if given.contains_key(field) { Ok(()) } else { Err(Failure::unparsable(text)) }
    };
    required("key")?;
    required("name")?;
    let mut spec = doc! { "v": 2, "key": given.get("key").cloned(), "name": fields::text(given, "name")? };
    fields::document(given, "key")?;
    if fields::flag(given, "sparse")? {
        spec.insert("sparse", true);
    }
    Ok(spec)
}

/// Whether there is no such index yet; fails if there is one that excludes it.
fn is_new<'a>(spec: &Document, known: impl Iterator<Item = &'a Document>) -> Result<bool, Failure> {
    for known in known {
        if known == spec {
            return Ok(false);
        }
        if known.get("name") == spec.get("name") {
            let text = format!("An existing index has the same name as the requested index: {spec}");
            return Err(Failure::new(86, "IndexKeySpecsConflict", text));
        }
        let same = |field| known.get(field) == spec.get(field);
        if same("key") && same("sparse") {
            let text = format!("Index already exists with a different name: {known}");
            return Err(Failure::new(85, "IndexOptionsConflict", text));
        }
    }
    Ok(true)
}

/// The defaults are those of mongo/db/repl/repl_set_commands.cpp, `CmdReplSetStepDown`.
fn step_down_of(command: &Document) -> Result<StepDown, Failure> {
    fields::only(command, &["secondaryCatchUpPeriodSecs", "force"])?;
    let force = fields::flag(command, "force")?;
    let secs = |name: &str| match fields::number(command, name)? {
        None => Ok(None),
        Some(secs) => {
            let wrong = |_| Failure::bad_value(format!("{name}: a period can't be negative"));
            u64::try_from(secs).map(Some).map_err(wrong)
        }
    };
    let freeze = secs("replSetStepDown")?.filter(|secs| *secs > 0).unwrap_or(60);
    let patience = secs("secondaryCatchUpPeriodSecs")?.unwrap_or(if force { 0 } else { 10 });
    if freeze < patience {
        let text = "stepdown period must be longer than secondaryCatchUpPeriodSecs";
        return Err(Failure::bad_value(text));
    }
    Ok(StepDown { freeze: Duration::from_secs(freeze), patience: Duration::from_secs(patience), force })
}
