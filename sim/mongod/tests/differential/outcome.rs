//! What a command came to, without what differs from run to run.

use bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, Result};
use std::fmt;

/// Fields of replies that are of the moment, of the member, or text for people.
/// What was retried is said for whoever debugs, by MongoDB from 6.0 on.
const VOLATILE: [&str; 11] = [
    "commitQuorum",
    "note",
    "retriedStmtIds",
    "retriedStmtId",
    "$clusterTime",
    "operationTime",
    "atClusterTime",
    "errmsg",
    "opTime",
    "electionId",
    "topologyVersion",
];
/// Of an error, what is compared as such.
const OF_ERRORS: [&str; 4] = ["ok", "code", "codeName", "errorLabels"];

/// Two are equal if they say the same in the same types, and documents have their fields in the same order.
#[derive(Clone)]
pub struct Outcome {
    what: What,
    /// The cursor that is left open.
    cursor: Option<i64>,
}

#[derive(Clone)]
enum What {
    Reply(Document),
    Error {
        code: i32,
        name: String,
        labels: Vec<String>,
        details: Document,
    },
    /// The driver's own error, of this kind.
    Driver(String, Vec<String>),
    /// No answer.
    Late,
}

impl Outcome {
    pub fn of(result: Result<Document>) -> Self {
        let (what, cursor) = match result {
            Ok(reply) => {
                let cursor = reply.get_document("cursor").and_then(|cursor| cursor.get_i64("id")).ok();
                (What::Reply(settled(&reply)), cursor.filter(|id| *id != 0))
            }
            Err(error) => (What::of_error(&error), None),
        };
        Outcome { what, cursor }
    }

    /// Of a reply as it came, without a driver.
    pub fn of_reply(reply: &Document) -> Self {
        let Ok(code) = reply.get_i32("code") else { return Outcome::of(Ok(reply.clone())) };
        let labels = reply.get_array("errorLabels").into_iter().flatten().filter_map(Bson::as_str);
        let mut labels: Vec<&str> = labels.collect();
        labels.sort_unstable();
        Outcome::error(code, reply.get_str("codeName").unwrap_or_default(), &labels)
    }

    pub fn late() -> Self {
        Outcome { what: What::Late, cursor: None }
    }

    /// A reply with these fields, besides `ok`.
    pub fn reply(mut fields: Document) -> Self {
        fields.insert("ok", 1.0);
        Outcome::of(Ok(fields))
    }

    /// The documents of `c` at the end, and none in `d`.
    pub fn end(documents: impl IntoIterator<Item = Document>) -> Self {
        let documents: Vec<Bson> = documents.into_iter().map(Bson::Document).collect();
        Outcome::of(Ok(doc! { "c": documents, "d": [] }))
    }

    /// All that a `find` in `c` finds.
    pub fn batch(documents: impl IntoIterator<Item = Document>) -> Self {
        let documents: Vec<Bson> = documents.into_iter().map(Bson::Document).collect();
        Outcome::reply(doc! { "cursor": { "firstBatch": documents, "id": 0_i64, "ns": "db.c" } })
    }

    /// A batch whose first statement is refused. Of an update there is also `nModified`.
    pub fn write_error(command: &str, code: i32) -> Self {
        let mut reply = doc! { "n": 0, "writeErrors": [{ "index": 0, "code": code }] };
        if command == "update" {
            reply.insert("nModified", 0);
        }
        Outcome::reply(reply)
    }

    /// Of a database that was dropped.
    pub fn dropped() -> Self {
        Outcome::reply(doc! { "dropped": "it" })
    }

    pub fn error(code: i32, name: &str, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let what = What::Error { code, name: name.into(), labels, details: Document::new() };
        Outcome { what, cursor: None }
    }

    pub fn cursor(&self) -> Option<i64> {
        self.cursor
    }
}

impl What {
    fn of_error(error: &Error) -> Self {
        let mut labels: Vec<String> = error.labels().iter().cloned().collect();
        labels.sort();
        match &*error.kind {
            ErrorKind::Command(said) => {
                let whole = error.server_response().and_then(|raw| Document::try_from(raw.as_ref()).ok());
                let mut details = settled(&whole.unwrap_or_default());
                OF_ERRORS.iter().for_each(|field| _ = details.remove(field));
                What::Error { code: said.code, name: said.code_name.clone(), labels, details }
            }
            ErrorKind::Write(failure) => What::Driver(format!("{failure:?}"), labels),
            kind => {
                // The name of the variant; what follows is the driver's prose.
                let text = format!("{kind:?}");
                let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
                What::Driver(text[..end].to_owned(), labels)
            }
        }
    }
}

/// A reply without what is volatile; fields that only a driver reads in the order of their names.
fn settled(reply: &Document) -> Document {
    let mut fields: Vec<(&String, &Bson)> =
        reply.iter().filter(|(name, _)| !VOLATILE.contains(&name.as_str())).collect();
    fields.sort_by_key(|(name, _)| *name);
    let mut settled_reply = Document::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            // The database's name is another in each run.
            ("dropped", _) => "it".into(),
            ("ns", Bson::String(ns)) => Bson::String(ns.split_once('.').map_or("", |(_, name)| name).into()),
            ("id", Bson::Int64(id)) if *id != 0 => Bson::String("open".into()),
            ("writeErrors", Bson::Array(errors)) => {
                let each = |e: &Bson| e.as_document().map_or(e.clone(), |e| settled(e).into());
                errors.iter().map(each).collect::<Vec<_>>().into()
            }
            ("cursor" | "lastErrorObject" | "writeConcernError", Bson::Document(inner)) => {
                settled(inner).into()
            }
            ("errorLabels", Bson::Array(labels)) => {
                let mut labels: Vec<&str> = labels.iter().filter_map(Bson::as_str).collect();
                labels.sort_unstable();
                labels.into_iter().map(Bson::from).collect::<Vec<_>>().into()
            }
            _ => value.clone(),
        };
        settled_reply.insert(name, value);
    }
    settled_reply
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Reply(reply) => write!(f, "{}", Typed(&reply.clone().into())),
            What::Error { code, name, labels, details } => {
                write!(f, "{name} ({code}), labels {labels:?}")?;
                if *details != doc! {} { write!(f, ", {}", Typed(&details.clone().into())) } else { Ok(()) }
            }
            What::Driver(kind, labels) => write!(f, "the driver says {kind}, labels {labels:?}"),
            What::Late => write!(f, "no answer in time"),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A value as text that tells types apart.
struct Typed<'a>(&'a Bson);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Bson::Int64(n) => write!(f, "{n}L"),
            Bson::Double(n) => write!(f, "{n:?}"),
            Bson::String(text) if text.len() > 200 => write!(f, "text of {} bytes", text.len()),
            Bson::Document(document) => {
                write!(f, "{{")?;
                for (i, (name, value)) in document.iter().enumerate() {
                    write!(f, "{}{name}: {}", if i == 0 { "" } else { ", " }, Typed(value))?;
                }
                write!(f, "}}")
            }
            Bson::Array(all) => {
                write!(f, "[")?;
                for (i, value) in all.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, Typed(value))?;
                }
                write!(f, "]")
            }
            value => write!(f, "{value}"),
        }
    }
}
