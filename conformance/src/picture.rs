//! A mailbox as a connection was told of it.

use crate::response::{Response, Value};
use crate::talk::Untagged;
use std::collections::BTreeSet;

/// A message, as far as it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    pub uid: Option<u32>,
    /// In small letters, and without `\Recent`, which is of a session.
    pub flags: Option<BTreeSet<String>>,
    pub modseq: Option<u64>,
}

/// The messages by number, and nothing that was not told.
#[derive(Debug, Clone, Default)]
pub struct Picture(pub Vec<Known>);

/// A FETCH response, understood.
#[derive(Debug, Default)]
pub struct Fetched {
    pub known: Known,
    pub text: Option<String>,
}

impl Picture {
    /// Takes in what is untagged; the FETCH responses are answered, each with the UID that its message has.
    pub fn hear(&mut self, untagged: &[Untagged]) -> Result<Vec<(Option<u32>, Fetched)>, String> {
        let mut fetched = Vec::new();
        for Untagged { text, response } in untagged {
            let wrong = |why: &str| format!("{why}: {text}");
            match response {
                Response::Numbered { number, kind, data } => {
                    let number = *number as usize;
                    let place = number.wrapping_sub(1);
                    match kind.as_str() {
                        "EXISTS" if number < self.0.len() => return Err(wrong("EXISTS shrinks")),
                        "EXISTS" => self.0.resize(number, Known::default()),
                        "EXPUNGE" if place < self.0.len() => _ = self.0.remove(place),
                        "FETCH" if place < self.0.len() => {
                            let found = understood(data).ok_or_else(|| wrong("not understood"))?;
                            let known = &mut self.0[place];
                            if found.known.uid.is_some()
                                && known.uid.is_some()
                                && found.known.uid != known.uid
                            {
                                return Err(wrong("another UID under a number"));
                            }
                            let Known { uid, flags, modseq } = found.known.clone();
                            known.uid = uid.or(known.uid);
                            known.flags = flags.or(known.flags.take());
                            known.modseq = modseq.or(known.modseq);
                            fetched.push((known.uid, found));
                        }
                        "EXPUNGE" | "FETCH" => return Err(wrong("there is no message of that number")),
                        _ => {}
                    }
                }
                Response::Data { kind, data } if kind == "VANISHED" => {
                    let is_earlier = data.first().and_then(Value::list).is_some();
                    let set = data.last().and_then(Value::word).ok_or_else(|| wrong("not understood"))?;
                    let gone = numbers(set).ok_or_else(|| wrong("not a set"))?;
                    for uid in gone {
                        let is = |wanted| self.0.iter().rposition(|known| known.uid == wanted);
                        // One of those that it knows no UID of, and which is all the same to it.
                        match is(Some(uid)).or_else(|| is(None)) {
                            Some(place) => _ = self.0.remove(place),
                            // RFC 7162 §3.2.10.1: what it never knew may be among what went earlier only.
                            None if is_earlier => {}
                            None => return Err(wrong("a message goes that was not there")),
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(fetched)
    }

    pub fn uids(&self) -> Vec<Option<u32>> {
        self.0.iter().map(|known| known.uid).collect()
    }

    pub fn of(&mut self, uid: u32) -> Option<&mut Known> {
        self.0.iter_mut().find(|known| known.uid == Some(uid))
    }
}

fn understood(data: &[Value]) -> Option<Fetched> {
    let mut fetched = Fetched::default();
    for pair in data.first()?.list()?.chunks(2) {
        let [Value::Word(name), value] = pair else { return None };
        match name.to_ascii_uppercase().as_str() {
            "UID" => fetched.known.uid = Some(u32::try_from(value.number()?).ok()?),
            "FLAGS" => {
                let flags = value.list()?.iter().map(|flag| flag.word().map(str::to_ascii_lowercase));
                let flags: BTreeSet<String> = flags.collect::<Option<_>>()?;
                let lasting = flags.into_iter().filter(|flag| flag != "\\recent");
                fetched.known.flags = Some(lasting.collect());
            }
            "MODSEQ" => fetched.known.modseq = Some(value.list()?.first()?.number()?),
            "BODY[TEXT]" => {
                let (Value::Word(text) | Value::Text(text)) = value else { return None };
                fetched.text = Some(text.clone());
            }
            _ => {}
        }
    }
    Some(fetched)
}

/// The numbers of a set without `*`.
pub fn numbers(set: &str) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for part in set.split(',') {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        all.extend(from.parse::<u32>().ok()?..=to.parse().ok()?);
    }
    Some(all)
}
