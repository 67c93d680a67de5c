//! Messages between members as commands and replies.

use super::history::Record;
use super::message::{Answer, Facts, Message, Request, Standing};
use super::settings::Id;
use crate::oplog::OpTime;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use std::time::Duration;

/// The command that asks it; `from` is the member that asks.
pub fn command(from: Id, message: &Message<Request>) -> Document {
    let mut command = match &message.body {
        Request::Heartbeat => doc! { "_replHeartbeat": 1 },
        Request::Vote { dry_run, term, last } => {
            doc! { "_replVote": 1, "dryRun": *dry_run, "term": term.cast_signed(), "last": position(*last) }
        }
        Request::Fetch { after, committed, patience } => doc! {
            "_replFetch": 1, "after": position(*after), "committed": position(*committed),
            "patienceMs": i64::try_from(patience.as_millis()).unwrap_or(i64::MAX),
        },
        Request::Progress(positions) => {
            let one = |(id, at): (&Id, &OpTime)| Bson::from(doc! { "id": *id as i64, "at": position(*at) });
            doc! { "_replProgress": 1, "positions": positions.iter().map(one).collect::<Vec<_>>() }
        }
        Request::StepUp => doc! { "_replStepUp": 1 },
    };
    command.extend(doc! { "from": from as i64, "facts": facts_document(&message.facts), "$db": "admin" });
    command
}

/// Who asks what. `None`: it can't be understood.
pub fn request_of(command: &Document) -> Option<(Id, Message<Request>)> {
    let body = match command.keys().next()?.as_str() {
        "_replHeartbeat" => Request::Heartbeat,
        "_replVote" => Request::Vote {
            dry_run: command.get_bool("dryRun").ok()?,
            term: number(command, "term")?,
            last: position_of(command, "last")?,
        },
        "_replFetch" => Request::Fetch {
            after: position_of(command, "after")?,
            committed: position_of(command, "committed")?,
            patience: Duration::from_millis(number(command, "patienceMs")?),
        },
        "_replProgress" => {
            let one = |one: &Bson| {
                let one = one.as_document()?;
                Some((usize::try_from(number(one, "id")?).ok()?, position_of(one, "at")?))
            };
            Request::Progress(command.get_array("positions").ok()?.iter().map(one).collect::<Option<_>>()?)
        }
        "_replStepUp" => Request::StepUp,
        _ => return None,
    };
    let from = usize::try_from(number(command, "from")?).ok()?;
    Some((from, Message { facts: facts_of(command)?, body }))
}

pub fn reply(message: &Message<Answer>) -> Document {
    let mut reply = doc! { "ok": 1.0, "facts": facts_document(&message.facts) };
    match &message.body {
        Answer::Done => {}
        Answer::Vote { granted } => _ = reply.insert("granted", *granted),
        Answer::Entries(records) => {
            let raw =
                |record: &Record| Binary { subtype: BinarySubtype::Generic, bytes: record.raw.to_vec() };
            reply.insert("entries", records.iter().map(raw).collect::<Vec<_>>());
        }
        Answer::Diverged(terms) => {
            let one = |(term, first): &(u64, u64)| {
                Bson::from(doc! { "term": term.cast_signed(), "first": first.cast_signed() })
            };
            reply.insert("terms", terms.iter().map(one).collect::<Vec<_>>());
        }
    }
    reply
}

/// `None`: a refusal, or something that can't be understood.
pub fn answer_of(reply: &Document) -> Option<Message<Answer>> {
    let body = if let Ok(granted) = reply.get_bool("granted") {
        Answer::Vote { granted }
    } else if let Ok(entries) = reply.get_array("entries") {
        let one = |raw: &Bson| match raw {
            Bson::Binary(binary) => Record::decode(&binary.bytes).ok(),
            _ => None,
        };
        Answer::Entries(entries.iter().map(one).collect::<Option<_>>()?)
    } else if let Ok(terms) = reply.get_array("terms") {
        let one = |term: &Bson| {
            let term = term.as_document()?;
            Some((number(term, "term")?, number(term, "first")?))
        };
        Answer::Diverged(terms.iter().map(one).collect::<Option<_>>()?)
    } else {
        Answer::Done
    };
    Some(Message { facts: facts_of(reply)?, body })
}

fn facts_document(facts: &Facts) -> Document {
    doc! {
        "term": facts.term.cast_signed(),
        "boot": facts.boot.cast_signed(),
        "number": facts.number.cast_signed(),
        "primary": facts.standing == Standing::Primary,
        "last": position(facts.last),
        "lastWallMs": facts.last_wall_ms,
        "synced": position(facts.synced),
        "committed": position(facts.committed),
        "source": facts.source.map_or(Bson::Null, |source| Bson::from(source as i64)),
    }
}

fn facts_of(message: &Document) -> Option<Facts> {
    let facts = message.get_document("facts").ok()?;
    let source = match facts.get("source")? {
        Bson::Null => None,
        _ => Some(usize::try_from(number(facts, "source")?).ok()?),
    };
    let standing = if facts.get_bool("primary").ok()? { Standing::Primary } else { Standing::Secondary };
    Some(Facts {
        term: number(facts, "term")?,
        boot: number(facts, "boot")?,
        number: number(facts, "number")?,
        standing,
        last: position_of(facts, "last")?,
        last_wall_ms: facts.get_i64("lastWallMs").ok()?,
        synced: position_of(facts, "synced")?,
        committed: position_of(facts, "committed")?,
        source,
    })
}

fn position(at: OpTime) -> Document {
    doc! { "t": at.term.cast_signed(), "i": at.index.cast_signed() }
}

fn position_of(document: &Document, name: &str) -> Option<OpTime> {
    let at = document.get_document(name).ok()?;
    Some(OpTime { term: number(at, "t")?, index: number(at, "i")? })
}

fn number(document: &Document, name: &str) -> Option<u64> {
    document.get_i64(name).ok().map(i64::cast_unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog::{Body, Entry};

    fn facts(source: Option<Id>) -> Facts {
        let at = |index| OpTime { term: 3, index };
        Facts {
            term: 4,
            boot: u64::MAX,
            number: 7,
            standing: Standing::Primary,
            last: at(9),
            last_wall_ms: -1,
            synced: at(8),
            committed: at(7),
            source,
        }
    }

    #[test]
    fn requests_come_back_as_they_were() {
        let at = OpTime { term: 2, index: 5 };
        for body in [
            Request::Heartbeat,
            Request::Vote { dry_run: true, term: 5, last: at },
            Request::Fetch { after: at, committed: OpTime::default(), patience: Duration::from_millis(300) },
            Request::Progress([(0, at), (2, OpTime::default())].into()),
            Request::StepUp,
        ] {
            let message = Message { facts: facts(Some(1)), body };
            assert_eq!(request_of(&command(2, &message)), Some((2, message)));
        }
    }

    #[test]
    fn answers_come_back_as_they_were() {
        let entry = Entry { at: OpTime { term: 1, index: 1 }, wall_ms: 5, body: Body::Noop };
        for body in [
            Answer::Done,
            Answer::Vote { granted: false },
            Answer::Entries(vec![]),
            Answer::Entries(vec![Record::encode(&entry)]),
            Answer::Diverged(vec![(1, 1), (4, 9)]),
        ] {
            let message = Message { facts: facts(None), body };
            assert_eq!(answer_of(&reply(&message)), Some(message));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(request_of(&doc! { "_replVote": 1, "from": 1_i64 }), None);
        assert_eq!(request_of(&doc! { "hello": 1 }), None);
        assert_eq!(answer_of(&doc! { "ok": 0.0, "code": 91 }), None);
    }
}
