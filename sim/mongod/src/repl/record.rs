//! Entries as BSON: the same bytes in the journal, between members, and under a digest.

use crate::oplog::{Body, Entry, Op, OpTime, SessionRecord};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};

/// Bytes that are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entry: {0}")]
pub struct Corrupt(pub String);

pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut document = doc! {
        "t": entry.at.term.cast_signed(), "i": entry.at.index.cast_signed(), "wall": entry.wall_ms,
    };
    if let Body::Write { ops, session } = &entry.body {
        document.insert("ops", ops.iter().map(op_document).collect::<Vec<_>>());
        if let Some(session) = session {
            document.insert("session", session_document(session));
        }
    }
    document.to_vec().expect("a document that was read as BSON can be written as BSON")
}

pub fn decode(raw: &[u8]) -> Result<Entry, Corrupt> {
    let document = Document::from_reader(raw).map_err(|e| Corrupt(e.to_string()))?;
    entry(&document).ok_or_else(|| Corrupt("a field is missing or of another type".into()))
}

fn entry(document: &Document) -> Option<Entry> {
    let at = OpTime {
        term: document.get_i64("t").ok()?.cast_unsigned(),
        index: document.get_i64("i").ok()?.cast_unsigned(),
    };
    let wall_ms = document.get_i64("wall").ok()?;
    let Some(ops) = document.get("ops") else { return Some(Entry { at, wall_ms, body: Body::Noop }) };
    let ops = ops.as_array()?.iter().map(|op| op_of(op.as_document()?)).collect::<Option<_>>()?;
    let session = match document.get("session") {
        Some(session) => Some(session_of(session.as_document()?)?),
        None => None,
    };
    Some(Entry { at, wall_ms, body: Body::Write { ops, session } })
}

fn op_document(op: &Op) -> Document {
    match op {
        Op::Put { ns, document } => doc! { "op": "put", "ns": ns, "o": document.clone() },
        Op::Delete { ns, id } => doc! { "op": "delete", "ns": ns, "o": id.clone() },
        Op::Create { ns } => doc! { "op": "create", "ns": ns },
        Op::Index { ns, spec } => doc! { "op": "index", "ns": ns, "o": spec.clone() },
        Op::DropIndex { ns, name } => doc! { "op": "dropIndex", "ns": ns, "o": name },
        Op::Drop { ns } => doc! { "op": "drop", "ns": ns },
    }
}

fn op_of(op: &Document) -> Option<Op> {
    let ns = op.get_str("ns").ok()?.to_owned();
    Some(match op.get_str("op").ok()? {
        "put" => Op::Put { ns, document: op.get_document("o").ok()?.clone() },
        "delete" => Op::Delete { ns, id: op.get("o")?.clone() },
        "create" => Op::Create { ns },
        "index" => Op::Index { ns, spec: op.get_document("o").ok()?.clone() },
        "dropIndex" => Op::DropIndex { ns, name: op.get_str("o").ok()?.to_owned() },
        "drop" => Op::Drop { ns },
        _ => return None,
    })
}

fn session_document(session: &SessionRecord) -> Document {
    let done = |(statement, reply): &(i32, Document)| {
        Bson::from(doc! { "stmt": *statement, "reply": reply.clone() })
    };
    doc! {
        "id": Binary { subtype: BinarySubtype::Generic, bytes: session.session.clone() },
        "number": session.number,
        "transaction": session.is_transaction,
        "done": session.done.iter().map(done).collect::<Vec<_>>(),
    }
}

fn session_of(session: &Document) -> Option<SessionRecord> {
    let done = |done: &Bson| {
        let done = done.as_document()?;
        Some((done.get_i32("stmt").ok()?, done.get_document("reply").ok()?.clone()))
    };
    Some(SessionRecord {
        session: session.get_binary_generic("id").ok()?.clone(),
        number: session.get_i64("number").ok()?,
        is_transaction: session.get_bool("transaction").ok()?,
        done: session.get_array("done").ok()?.iter().map(done).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let ops = vec![
            Op::Put { ns: "a.b".into(), document: doc! { "_id": 1, "z": [1, 2.5], "a": Bson::Null } },
            Op::Delete { ns: "a.b".into(), id: Bson::from(doc! { "mb": 1i64 }) },
            Op::Create { ns: "a.c".into() },
            Op::Index { ns: "a.c".into(), spec: doc! { "key": { "x": 1 } } },
            Op::DropIndex { ns: "a.c".into(), name: "x_1".into() },
            Op::Drop { ns: "a.c".into() },
        ];
        let session = SessionRecord {
            session: vec![4; 16],
            number: 9,
            is_transaction: false,
            done: vec![(0, doc! { "n": 1 }), (3, doc! {})],
        };
        let at = OpTime { term: 3, index: u64::MAX / 2 };
        for body in [
            Body::Noop,
            Body::Write { ops: vec![], session: None },
            Body::Write { ops, session: Some(session) },
        ] {
            let entry = Entry { at, wall_ms: -5, body };
            assert_eq!(decode(&encode(&entry)), Ok(entry));
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for document in
            [doc! {}, doc! { "t": 1i64, "i": 1i64 }, doc! { "t": 1i64, "i": 1i64, "wall": 1i64, "ops": 3 }]
        {
            assert!(decode(&document.to_vec().unwrap()).is_err(), "{document}");
        }
        assert!(decode(b"\x05\x00").is_err());
    }
}
