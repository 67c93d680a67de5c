//! What the contract suite of the backend doesn't reach.

mod reads;
mod retries;
mod transactions;

use super::{Answer, Engine, Turn, Unsettled};
use crate::log::{Log, Refusal, StepDown, Wait};
use crate::oplog::{Body, Entry, OpTime};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};

/// A log whose commit point and role are what a test says.
#[derive(Default)]
struct TestLog {
    term: Option<u64>,
    entries: Vec<Entry>,
    committed: OpTime,
}

impl Log for TestLog {
    fn primary(&self) -> Option<u64> {
        self.term
    }
    fn append(&mut self, body: Body, wall_ms: i64) -> Result<Entry, Refusal> {
        let term = self.term.ok_or_else(Refusal::not_primary)?;
        let at = OpTime { term, index: self.last().index + 1 };
        let entry = Entry { at, wall_ms, body };
        self.entries.push(entry.clone());
        Ok(entry)
    }
    fn last(&self) -> OpTime {
        self.entries.last().map_or(OpTime::default(), |entry| entry.at)
    }
    fn committed(&self) -> OpTime {
        self.committed
    }
    fn durable(&self) -> OpTime {
        self.last()
    }
    fn settled(&self, wait: &Wait) -> Option<Result<(), Refusal>> {
        (wait.at <= self.committed).then_some(Ok(()))
    }
    fn hello(&self) -> Document {
        doc! { "isWritablePrimary": self.term.is_some() }
    }
    fn status(&self) -> Document {
        Document::new()
    }
    fn step_down(&mut self, _: StepDown) -> Option<Result<(), Refusal>> {
        self.term = None;
        Some(Ok(()))
    }
    fn give_up_step_down(&mut self) {}
}

/// A member that has only its engine.
struct Node {
    engine: Engine,
    log: TestLog,
    now_ms: i64,
}

impl Node {
    fn new() -> Self {
        let log = TestLog { term: Some(1), ..TestLog::default() };
        Node { engine: Engine::new(60), log, now_ms: 1_000_000 }
    }

    /// Another member that has the first entries of this one, as the primary of the next term.
    fn successor(&self, entries: usize) -> Self {
        let mut next = Node::new();
        next.log.term = Some(2);
        for entry in &self.log.entries[..entries] {
            next.engine.apply(entry);
            next.log.entries.push(entry.clone());
        }
        next
    }

    fn turn(&mut self, command: Document) -> Option<Answer> {
        let mut whole = command;
        whole.insert(
            "$db",
            if whole.contains_key("commitTransaction") || whole.contains_key("abortTransaction") {
                "admin"
            } else {
                "db"
            },
        );
        match self.engine.run(&whole, &mut self.log, self.now_ms) {
            Turn::Done(answer) => Some(*answer),
            Turn::Blocked => None,
        }
    }

    fn answer(&mut self, command: Document) -> Answer {
        self.turn(command).expect("nothing is in the way")
    }

    /// The reply, when all it waits for comes true.
    fn run(&mut self, command: Document) -> Document {
        self.answer(command).finish(Ok(()))
    }

    fn runs(&mut self, command: Document) -> Document {
        let reply = self.run(command.clone());
        assert!(is_ok(&reply) && !reply.contains_key("writeErrors"), "{command}: {reply}");
        reply
    }

    fn commit_all(&mut self) {
        self.log.committed = self.log.last();
        self.engine.committed(self.log.committed);
    }

    fn ids(&mut self, command: Document) -> Vec<i32> {
        let reply = self.runs(command);
        batch(&reply).iter().map(|d| d.get_i32("_id").unwrap()).collect()
    }
}

fn is_ok(reply: &Document) -> bool {
    reply.get_f64("ok").unwrap() == 1.0
}

fn batch(reply: &Document) -> Vec<Document> {
    let cursor = reply.get_document("cursor").unwrap();
    let batch = cursor.get_array("firstBatch").or(cursor.get_array("nextBatch")).unwrap();
    batch.iter().map(|d| d.as_document().unwrap().clone()).collect()
}

fn code(reply: &Document) -> i32 {
    reply.get_i32("code").unwrap_or_default()
}

fn labels(reply: &Document) -> Vec<&str> {
    reply.get_array("errorLabels").into_iter().flatten().filter_map(Bson::as_str).collect()
}

fn lsid(session: u8) -> Document {
    doc! { "id": Binary { subtype: BinarySubtype::Uuid, bytes: vec![session; 16] } }
}

/// A statement of a transaction; the first of its number begins it.
fn within(command: Document, session: u8, number: i64, first: bool) -> Document {
    let mut whole = command;
    whole.extend(doc! { "lsid": lsid(session), "txnNumber": number, "autocommit": false });
    if first {
        whole.extend(doc! { "startTransaction": true, "readConcern": { "level": "snapshot" } });
    }
    whole
}

fn commit(session: u8, number: i64) -> Document {
    within(doc! { "commitTransaction": 1, "writeConcern": { "w": "majority" } }, session, number, false)
}

fn retryable(command: Document, session: u8, number: i64) -> Document {
    let mut whole = command;
    whole.extend(doc! { "lsid": lsid(session), "txnNumber": number });
    whole
}

fn insert(id: i32) -> Document {
    doc! { "insert": "c", "documents": [{ "_id": id, "n": 0 }] }
}

fn increase(id: i32) -> Document {
    doc! { "update": "c", "updates": [{ "q": { "_id": id }, "u": { "$inc": { "n": 1 } } }] }
}

fn find(filter: Document) -> Document {
    doc! { "find": "c", "filter": filter }
}

fn stepped_down() -> Result<(), Unsettled> {
    Err(Unsettled::Refused(Refusal::stepped_down()))
}
