//! `find`, `getMore`, `killCursors`.

use super::Engine;
use super::command::{Call, Outcome, ok};
use super::concern::{Pending, Purpose, ReadLevel};
use super::failure::{Failure, Stop};
use super::fields;
use super::filter::Filter;
use super::session::{Numbered, session_id};
use super::view::{Overlay, Projection, Sort, View};
use crate::log::{Log, Wait};
use crate::oplog::Body;
use bson::{Bson, Document, doc};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// <https://www.mongodb.com/docs/manual/tutorial/iterate-a-cursor/#cursor-batches>
const FIRST_BATCH: usize = 101;
const BATCH_BYTES: usize = 16 << 20;
/// `cursorTimeoutMillis`.
const IDLE_MS: i64 = 600_000;
/// Cursors at most; the oldest go first.
const CURSORS: usize = 10_000;

/// What is left of a read.
#[derive(Debug)]
struct Cursor {
    ns: String,
    rest: VecDeque<Arc<Document>>,
    projection: Projection,
    session: Option<Vec<u8>>,
    /// The transaction that it ends with.
    transaction: Option<i64>,
    used_ms: i64,
}

#[derive(Debug, Default)]
pub struct Cursors {
    all: BTreeMap<i64, Cursor>,
    last: i64,
}

impl Cursors {
    pub fn clear(&mut self) {
        self.all.clear();
    }

    pub fn expire(&mut self, now_ms: i64) {
        self.all.retain(|_, cursor| now_ms.saturating_sub(cursor.used_ms) < IDLE_MS);
    }

    pub fn close_of_transaction(&mut self, session: &[u8], number: i64) {
        let mine = |c: &Cursor| c.session.as_deref() == Some(session) && c.transaction == Some(number);
        self.all.retain(|_, cursor| !mine(cursor));
    }

    pub fn close_of_session(&mut self, session: &[u8]) {
        self.all.retain(|_, cursor| cursor.session.as_deref() != Some(session));
    }

    /// Keeps what is left and gives it a number, which no other term of this member has given.
    fn keep(&mut self, cursor: Cursor, term: u64) -> i64 {
        if cursor.rest.is_empty() {
            return 0;
        }
        if self.all.len() >= CURSORS {
            self.all.pop_first();
        }
        self.last += 1;
        let id = ((term as i64) << 32) + self.last;
        self.all.insert(id, cursor);
        id
    }
}

impl Cursor {
    /// The next documents, as many as asked for and as fit into a reply.
    fn batch(&mut self, limit: usize) -> Vec<Bson> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.rest.front().filter(|_| batch.len() < limit) {
            let shown = self.projection.of(next);
            bytes += fields::size(&shown);
            if bytes > BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(Bson::Document(shown));
            self.rest.pop_front();
        }
        batch
    }
}

impl Engine {
    pub fn find(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let ns = call.ns()?;
        fields::only(call.command, &["filter", "sort", "projection", "limit", "batchSize", "singleBatch"])?;
        let empty = Document::new();
        let filter = Filter::parse(fields::document(call.command, "filter")?.unwrap_or(&empty))?;
        let sort = Sort::parse(fields::document(call.command, "sort")?)?;
        let projection = Projection::parse(fields::document(call.command, "projection")?)?;
        let limit = fields::count(call.command, "limit")?;
        let single = fields::flag(call.command, "singleBatch")?;
        let size = match call.command.contains_key("batchSize") {
            true => fields::count(call.command, "batchSize")?,
            false => FIRST_BATCH,
        };
        self.begin_if_said(call, log)?;
        let found = self.look(call, log, |view| view.find(&ns, &filter, &sort, limit))?;
        let (session, transaction) = match &call.numbered {
            Numbered::Transaction { session, number, .. } => (Some(session.clone()), Some(*number)),
            _ => (fields::document(call.command, "lsid")?.map(session_id).transpose()?, None),
        };
        let term = log.last().term;
        let used_ms = call.now_ms;
        let mut cursor =
            Cursor { ns: ns.clone(), rest: found.into(), projection, session, transaction, used_ms };
        let batch = cursor.batch(size);
        if single {
            cursor.rest.clear();
        }
        let id = self.cursors.keep(cursor, term);
        let wait = self.prove(call, log)?;
        Ok((ok(doc! { "cursor": { "firstBatch": batch, "id": id, "ns": ns } }), wait))
    }

    /// `aggregate`, of which there is only what drivers count documents with.
    pub fn count(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let ns = call.ns()?;
        fields::only(call.command, &["pipeline", "cursor"])?;
        let stages = fields::documents(call.command, "pipeline")?;
        if fields::document(call.command, "cursor")?.is_none() {
            return Err(Failure::unparsable("The 'cursor' option is required").into());
        }
        let known =
            |stage: &&Document| matches!(stage.keys().next().map(String::as_str), Some("$match" | "$group"));
        if let Some(stage) = stages.iter().find(|stage| !known(stage)) {
            let text = format!("Unrecognized pipeline stage, here at least: {stage}");
            return Err(Failure::new(40324, "Location40324", text).into());
        }
        let group = doc! { "_id": 1, "n": { "$sum": 1 } };
        let filter = match stages.as_slice() {
            [first, last] if last.get("$group") == Some(&Bson::Document(group)) => {
                first.get_document("$match").ok()
            }
            _ => None,
        };
        let strange = || Failure::bad_value("aggregate: only $match and a $group that counts are simulated");
        let filter = Filter::parse(filter.ok_or_else(strange)?)?;
        self.begin_if_said(call, log)?;
        let found = self.look(call, log, |view| view.find(&ns, &filter, &Sort::default(), 0))?;
        let n = i32::try_from(found.len()).map_err(|_| Failure::bad_value("too many to count"))?;
        let batch: Vec<Bson> = (n > 0).then(|| doc! { "_id": 1, "n": n }.into()).into_iter().collect();
        let wait = self.prove(call, log)?;
        Ok((ok(doc! { "cursor": { "firstBatch": batch, "id": 0_i64, "ns": ns } }), wait))
    }

    /// Looks at what the read concern, or the transaction, lets it see.
    fn look<T>(
        &mut self,
        call: &Call<'_>,
        log: &dyn Log,
        look: impl FnOnce(View<'_>) -> Result<T, Failure>,
    ) -> Result<T, Stop> {
        if let Numbered::Transaction { session, number, .. } = &call.numbered {
            let transaction = self.sessions.take(session, *number)?;
            let at = if self.faulty.no_snapshot { log.last().index } else { transaction.at };
            let seen = look(View { store: &self.store, at, own: &transaction.own });
            self.sessions.put_back(session, transaction);
            return Ok(seen?);
        }
        let at = match call.read.level {
            ReadLevel::Local => log.last().index,
            // Reads before its data and then waits: what it reads is at most as new.
            ReadLevel::Linearizable if log.primary().is_some() => log.last().index,
            ReadLevel::Linearizable => return Err(crate::Refusal::not_primary().into()),
            ReadLevel::Majority | ReadLevel::Snapshot => log.committed().index.min(log.last().index),
        };
        Ok(look(View { store: &self.store, at, own: &Overlay::default() })?)
    }

    /// A linearizable read proves that this still is the primary by a no-op that a majority takes.
    fn prove(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Result<Option<Pending>, Failure> {
        if call.in_transaction() || call.read.level != ReadLevel::Linearizable {
            return Ok(None);
        }
        let at = self.append(log, Body::Noop, call.now_ms)?;
        let timeout_ms = fields::number(call.command, "maxTimeMS")?.and_then(|ms| u64::try_from(ms).ok());
        let wait = Wait { at, majority: true, journal: true };
        Ok(Some(Pending { wait, timeout_ms: timeout_ms.filter(|ms| *ms > 0), purpose: Purpose::Read }))
    }

    pub fn get_more(&mut self, call: &Call<'_>, _log: &mut dyn Log) -> Outcome {
        fields::only(call.command, &["collection", "batchSize"])?;
        let id = match call.command.get("getMore") {
            Some(Bson::Int64(id)) => *id,
            _ => return Err(Failure::mistyped("getMore must be a long").into()),
        };
        if !call.command.contains_key("collection") {
            return Err(Failure::missing("getMore.collection").into());
        }
        let ns = format!("{}.{}", call.database, fields::text(call.command, "collection")?);
        if let Numbered::Transaction { session, number, .. } = &call.numbered {
            let transaction = self.sessions.take(session, *number)?;
            self.sessions.put_back(session, transaction);
        }
        let size = match fields::count(call.command, "batchSize")? {
            0 => usize::MAX,
            size => size,
        };
        let session = fields::document(call.command, "lsid")?.map(session_id).transpose()?;
        let number = match &call.numbered {
            Numbered::Transaction { number, .. } => Some(*number),
            _ => None,
        };
        let gone = || Failure::new(43, "CursorNotFound", format!("cursor id {id} not found"));
        let cursor = self.cursors.all.get_mut(&id).ok_or_else(gone)?;
        if cursor.ns != ns || cursor.session != session || cursor.transaction != number {
            let text = format!(
                "Cannot run getMore on cursor {id}: it was made on another collection, session or transaction"
            );
            return Err(Failure::new(13, "Unauthorized", text).into());
        }
        cursor.used_ms = call.now_ms;
        let batch = cursor.batch(size);
        let left = !cursor.rest.is_empty();
        if !left {
            self.cursors.all.remove(&id);
        }
        let id = if left { id } else { 0 };
        Ok((ok(doc! { "cursor": { "nextBatch": batch, "id": id, "ns": ns } }), None))
    }

    pub fn kill_cursors(&mut self, call: &Call<'_>) -> Outcome {
        fields::only(call.command, &["cursors"])?;
        let wrong = || Failure::mistyped("cursors must be an array of numbers");
        let all = call.command.get_array("cursors").map_err(|_| wrong())?;
        let (mut killed, mut missing) = (Vec::new(), Vec::new());
        for id in all {
            let id = super::order::whole(id).ok_or_else(wrong)?;
            let list = if self.cursors.all.remove(&id).is_some() { &mut killed } else { &mut missing };
            list.push(Bson::Int64(id));
        }
        let none = || Bson::Array(Vec::new());
        let reply = doc! {
            "cursorsKilled": killed, "cursorsNotFound": missing, "cursorsAlive": none(), "cursorsUnknown": none(),
        };
        Ok((ok(reply), None))
    }
}
