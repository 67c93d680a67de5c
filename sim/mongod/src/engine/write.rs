//! `insert`, `update`, `delete` and `findAndModify`.

use super::Engine;
use super::change::Change;
use super::command::{Call, Outcome, ok};
use super::failure::{Failure, Stop, WRITE_CONFLICT};
use super::fields;
use super::filter::Filter;
use super::session::{Numbered, Transaction};
use super::view::{Overlay, Projection, Sort};
use super::writer::{Modified, Modify, UpdateStatement, Writer};
use crate::log::Log;
use crate::oplog::{Body, Op, SessionRecord};
use bson::{Bson, Document, doc};

/// <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-Write-Command-Batch-Limit-Size>
pub const BATCH_LIMIT: usize = 100_000;

/// What a command has written, statement by statement, to be put into the log.
#[derive(Default)]
struct Written(Vec<Statement>);

/// Its operations and, of a retryable one, its id and its part of the reply.
type Statement = (Vec<Op>, Option<(i32, Document)>);

/// One statement's part of the reply, and whether it is a repetition of one that was done.
type Part = Result<Document, Stop>;

impl Engine {
    pub fn write(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let ns = call.ns()?;
        let list = match call.name {
            "insert" => "documents",
            "update" => "updates",
            _ => "deletes",
        };
        fields::only(call.command, &[list, "ordered", "bypassDocumentValidation"])?;
        let statements = fields::documents(call.command, list)?;
        if statements.is_empty() || statements.len() > BATCH_LIMIT {
            let text =
                format!("Write batch sizes must be between 1 and {BATCH_LIMIT}. Got {}.", statements.len());
            return Err(Failure::new(16, "InvalidLength", text).into());
        }
        let ordered = !call.command.contains_key("ordered") || fields::flag(call.command, "ordered")?;
        statements.iter().try_for_each(|statement| check_shape(call.name, statement))?;
        let (mut reply, mut errors) = (Reply::default(), Vec::new());
        let written = self.within(call, log, |writer| {
            for (index, statement) in statements.iter().enumerate() {
                match writer.statement(call, &ns, index, statement) {
                    Ok(part) => reply.add(index, part),
                    Err(Stop::Failed(failure))
                        if !(call.in_transaction() && failure.code == WRITE_CONFLICT) =>
                    {
                        errors.push(Bson::Document(failure.write_error(index)));
                        // A transaction does not outlive an error.
                        if ordered || call.in_transaction() {
                            break;
                        }
                    }
                    Err(stop) => return Err(stop),
                }
            }
            Ok(())
        });
        written?;
        if let (Numbered::Transaction { session, number, .. }, false) = (&call.numbered, errors.is_empty()) {
            self.abort_if_open(session, *number);
        }
        let wait = (!call.in_transaction()).then(|| call.write.of(log.last()));
        Ok((ok(reply.document(call.name, errors)), wait))
    }

    pub fn find_and_modify(&mut self, call: &Call<'_>, log: &mut dyn Log) -> Outcome {
        let ns = call.ns()?;
        let known =
            ["query", "sort", "remove", "update", "new", "fields", "upsert", "bypassDocumentValidation"];
        fields::only(call.command, &known)?;
        let projection = Projection::parse(fields::document(call.command, "fields")?)?;
        let modify = Modify::parse(call.command)?;
        let mut part = Document::new();
        self.within(call, log, |writer| {
            part = writer.once(call, 0, |writer| {
                Ok(writer.modify(&ns, &modify)?.reply(modify.change.is_none(), &projection))
            })?;
            Ok(())
        })?;
        let wait = (!call.in_transaction()).then(|| call.write.of(log.last()));
        Ok((ok(part), wait))
    }

    /// Runs statements in their transaction, or outside of any; then what they have written goes into the log.
    fn within(
        &mut self,
        call: &Call<'_>,
        log: &mut dyn Log,
        run: impl FnOnce(&mut Statements<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.begin_if_said(call, log)?;
        let last = log.last();
        let (mut at, mut own, mut holder, mut open) = (last.index, Overlay::default(), None, None);
        match &call.numbered {
            Numbered::Transaction { session, number, .. } => {
                let mut transaction = self.sessions.take(session, *number)?;
                (at, own) = (transaction.at, std::mem::take(&mut transaction.own));
                holder = Some(session.clone());
                open = Some(transaction);
            }
            Numbered::Write { session, number, .. } => self.sessions.begin_write(session, *number)?,
            Numbered::No => {}
        }
        let seed = seed(call.now_ms, last.term, last.index);
        let Engine { store, sessions, faulty, .. } = self;
        let writer = Writer { store, sessions, at, own, holder, ops: Vec::new(), seed, faulty: *faulty };
        let mut statements = Statements { writer, written: Written::default() };
        let outcome = run(&mut statements);
        let Statements { writer, written } = statements;
        let own = writer.own;
        match (open, &call.numbered) {
            (Some(transaction), Numbered::Transaction { session, .. }) => {
                // Also after an error: whoever sees it ends the transaction, with what it holds.
                self.sessions.put_back(session, Box::new(Transaction { own, ..*transaction }));
                outcome
            }
            _ => {
                outcome?;
                self.record(call, log, written)
            }
        }
    }

    /// Outside of a transaction each document is an entry of its own, so that a batch may end up half done.
    fn record(&mut self, call: &Call<'_>, log: &mut dyn Log, written: Written) -> Result<(), Stop> {
        for (ops, done) in written.0 {
            let session = match (&call.numbered, done) {
                (Numbered::Write { session, number, .. }, Some(done)) => Some(SessionRecord {
                    session: session.clone(),
                    number: *number,
                    is_transaction: false,
                    done: vec![done],
                }),
                _ => None,
            };
            if session.is_some() {
                self.append(log, Body::Write { ops, session }, call.now_ms)?;
                continue;
            }
            for op in ops {
                self.append(log, Body::Write { ops: vec![op], session: None }, call.now_ms)?;
            }
        }
        Ok(())
    }
}

/// A batch on its way.
struct Statements<'a> {
    writer: Writer<'a>,
    written: Written,
}

impl Statements<'_> {
    fn statement(&mut self, call: &Call<'_>, ns: &str, index: usize, statement: &Document) -> Part {
        refuse_many_if_retryable(call, statement)?;
        self.once(call, index, |writer| match call.name {
            "insert" => {
                writer.insert(ns, statement.clone())?;
                Ok(doc! { "n": 1 })
            }
            "update" => writer.update(ns, &UpdateStatement::parse(statement)?),
            _ => {
                let filter =
                    fields::document(statement, "q")?.ok_or_else(|| Failure::missing("delete.deletes.q"))?;
                let limit = fields::count(statement, "limit")?;
                let n = writer.delete(ns, &Filter::parse(filter)?, limit)?;
                Ok(doc! { "n": n })
            }
        })
    }

    /// Runs a statement, unless it is a retryable one that has been done: then that is answered.
    fn once(&mut self, call: &Call<'_>, index: usize, run: impl FnOnce(&mut Writer<'_>) -> Part) -> Part {
        let Numbered::Write { session, number, statements } = &call.numbered else {
            let part = run(&mut self.writer);
            // Also after an error: what a statement has done to many documents by then is done.
            self.written.0.push((std::mem::take(&mut self.writer.ops), None));
            return part;
        };
        let id = match statements.as_slice() {
            [] => index as i32,
            [first] => first + index as i32,
            all => *all.get(index).ok_or_else(|| Failure::bad_value("stmtIds has too few elements"))?,
        };
        let done = self.writer.sessions.done(session, *number, id);
        if let Some(done) = done.filter(|_| !self.writer.faulty.retry_done_again) {
            return Ok(done.clone());
        }
        let part = run(&mut self.writer)?;
        let ops = std::mem::take(&mut self.writer.ops);
        // What has changed nothing leaves no trace, and is run again by a repetition.
        if !ops.is_empty() {
            self.written.0.push((ops, Some((id, part.clone()))));
        }
        Ok(part)
    }
}

/// What a command can't be without, whatever else it holds: it is refused as a whole.
fn check_shape(command: &str, statement: &Document) -> Result<(), Failure> {
    match command {
        "update" => {
            fields::only_in(statement, "update.updates", &["q", "u", "upsert", "multi"])?;
            fields::document(statement, "q")?.ok_or_else(|| Failure::missing("update.updates.q"))?;
            match statement.get("u") {
                Some(Bson::Document(_) | Bson::Array(_)) => Ok(()),
                Some(_) => Err(Failure::unparsable("Update argument must be either an object or an array")),
                None => Err(Failure::missing("update.updates.u")),
            }
        }
        "delete" => {
            fields::only_in(statement, "delete.deletes", &["q", "limit"])?;
            fields::document(statement, "q")?.ok_or_else(|| Failure::missing("delete.deletes.q"))?;
            match fields::number(statement, "limit")? {
                Some(0 | 1) => Ok(()),
                Some(_) => Err(Failure::unparsable("The limit field in delete objects must be 0 or 1")),
                None => Err(Failure::missing("delete.deletes.limit")),
            }
        }
        _ => Ok(()),
    }
}

/// What only one statement's document can be remembered for is not retryable for many.
fn refuse_many_if_retryable(call: &Call<'_>, statement: &Document) -> Result<(), Failure> {
    let many = match call.name {
        "update" => fields::flag(statement, "multi")?,
        "delete" => fields::number(statement, "limit")? == Some(0),
        _ => false,
    };
    if many && matches!(call.numbered, Numbered::Write { .. }) {
        let text = format!("Cannot use (or request) retryable writes with multi {}s", call.name);
        return Err(Failure::new(72, "InvalidOptions", text));
    }
    Ok(())
}

impl Modify {
    fn parse(command: &Document) -> Result<Self, Failure> {
        let removes = fields::flag(command, "remove")?;
        let change = command.get("update").map(Change::parse).transpose()?;
        if removes == change.is_some() {
            return Err(Failure::unparsable("Either an update or remove=true must be specified"));
        }
        let empty = Document::new();
        let (new, upsert) = (fields::flag(command, "new")?, fields::flag(command, "upsert")?);
        if removes && (new || upsert) {
            let other = if new { "new" } else { "upsert" };
            return Err(Failure::unparsable(format!("Cannot specify both {other}=true and remove=true")));
        }
        Ok(Modify {
            filter: Filter::parse(fields::document(command, "query")?.unwrap_or(&empty))?,
            sort: Sort::parse(fields::document(command, "sort")?)?,
            change,
            upsert,
            new,
        })
    }
}

impl Modified {
    fn reply(self, removed: bool, projection: &Projection) -> Document {
        let Modified { shown, existed, upserted } = self;
        let mut last = doc! { "n": i32::from(existed || upserted.is_some()) };
        if !removed {
            last.insert("updatedExisting", existed);
        }
        if let Some(id) = upserted {
            last.insert("upserted", id);
        }
        let value = shown.map_or(Bson::Null, |document| Bson::Document(projection.of(&document)));
        doc! { "lastErrorObject": last, "value": value }
    }
}

/// The sums over all statements.
#[derive(Default)]
struct Reply {
    n: i32,
    modified: i32,
    upserted: Vec<Bson>,
}

impl Reply {
    fn add(&mut self, index: usize, part: Document) {
        self.n += part.get_i32("n").unwrap_or_default();
        self.modified += part.get_i32("nModified").unwrap_or_default();
        if let Some(id) = part.get("upserted") {
            self.upserted.push(Bson::Document(doc! { "index": index as i32, "_id": id.clone() }));
        }
    }

    fn document(self, command: &str, errors: Vec<Bson>) -> Document {
        let mut reply = doc! { "n": self.n };
        if command == "update" {
            reply.insert("nModified", self.modified);
            if !self.upserted.is_empty() {
                reply.insert("upserted", self.upserted);
            }
        }
        if !errors.is_empty() {
            reply.insert("writeErrors", errors);
        }
        reply
    }
}

/// The beginning of `_id`s that are made here: no two entries of a log share it, and a replay makes the same.
fn seed(now_ms: i64, term: u64, index: u64) -> [u8; 12] {
    let mut seed = [0; 12];
    seed[..4].copy_from_slice(&((now_ms / 1000) as u32).to_be_bytes());
    seed[4..6].copy_from_slice(&(term as u16).to_be_bytes());
    seed[6..10].copy_from_slice(&(index as u32).to_be_bytes());
    seed
}
