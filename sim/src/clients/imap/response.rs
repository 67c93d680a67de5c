//! What an IMAP server says (RFC 3501 §7, RFC 4315, RFC 7162), read into values.

use crate::clients::{Fault, Wire};
use std::collections::BTreeMap;

/// Longest response line, and longest expanded set.
const LIMIT: usize = 16 << 20;

#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// `+ text`
    Continue(String),
    Tagged(String, Status),
    Untagged(Data),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// `OK`, `NO`, `BAD`, `BYE`, `PREAUTH`
    pub kind: String,
    /// Name and arguments: `("APPENDUID", "1 4")`.
    pub code: Option<(String, String)>,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Status(Status),
    Exists(u32),
    Expunge(u32),
    Fetch(u32, Item),
    /// RFC 7162 §3.2.10; whether it is of the past.
    Vanished {
        earlier: bool,
        uids: Vec<u32>,
    },
    List(String),
    MailboxStatus(String, BTreeMap<String, u64>),
    Search(Vec<u32>),
    Other(String),
}

/// What FETCH tells of one message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Item {
    pub uid: Option<u32>,
    pub modseq: Option<u64>,
    /// Sorted, without `\Recent`.
    pub flags: Option<Vec<String>>,
    /// `BODY[...]`, whatever section was asked for.
    pub body: Option<Vec<u8>>,
}

impl Status {
    /// The argument of a code.
    pub fn code(&self, name: &str) -> Option<&str> {
        self.code.as_ref().filter(|(n, _)| n == name).map(|(_, arguments)| arguments.as_str())
    }

    pub fn whole(&self) -> String {
        match &self.code {
            Some((name, arguments)) => format!("{} [{name} {arguments}] {}", self.kind, self.text),
            None => format!("{} {}", self.kind, self.text),
        }
    }
}

/// Reads one response, literals included.
pub async fn read(wire: &mut Wire) -> Result<Response, Fault> {
    let first = wire.line().await?;
    finish(wire, first).await
}

/// Reads the rest of a response of which the first line is there.
pub async fn finish(wire: &mut Wire, first: Vec<u8>) -> Result<Response, Fault> {
    let mut whole = first;
    while let Some(length) = literal(&whole) {
        if whole.len() + length > LIMIT {
            return Err(Fault::Lost(format!("a response with a literal of {length} bytes")));
        }
        whole.extend_from_slice(b"\r\n");
        whole.extend(wire.exactly(length).await?);
        whole.extend(wire.line().await?);
    }
    parse(&whole).ok_or_else(|| {
        Fault::Lost(format!("no response: {:?}", String::from_utf8_lossy(&whole[..whole.len().min(200)])))
    })
}

/// The length of a literal that a line ends with.
fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}

fn parse(bytes: &[u8]) -> Option<Response> {
    let text = String::from_utf8_lossy(bytes);
    let (tag, rest) = text.split_once(' ').unwrap_or((&text, ""));
    match tag {
        "+" => Some(Response::Continue(rest.to_owned())),
        "*" => untagged(&bytes[2..]).map(Response::Untagged),
        _ => Some(Response::Tagged(tag.to_owned(), status(rest)?)),
    }
}

fn status(text: &str) -> Option<Status> {
    let (kind, rest) = text.split_once(' ')?;
    let kind = kind.to_ascii_uppercase();
    if !["OK", "NO", "BAD", "BYE", "PREAUTH"].contains(&kind.as_str()) {
        return None;
    }
    let (code, text) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((code, text)) => {
            let (name, arguments) = code.split_once(' ').unwrap_or((code, ""));
            (Some((name.to_ascii_uppercase(), arguments.to_owned())), text.trim_start())
        }
        None => (None, rest),
    };
    Some(Status { kind, code, text: text.to_owned() })
}

fn untagged(bytes: &[u8]) -> Option<Data> {
    let text = String::from_utf8_lossy(bytes);
    if let Some(status) = status(&text) {
        return Some(Data::Status(status));
    }
    let mut words = text.splitn(3, ' ');
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    if let Ok(number) = first.parse() {
        return match second.trim_end() {
            "EXISTS" => Some(Data::Exists(number)),
            "EXPUNGE" => Some(Data::Expunge(number)),
            "FETCH" => {
                let start = first.len() + " FETCH ".len();
                Some(Data::Fetch(number, item(&mut Cursor { bytes, at: start })?))
            }
            _ => Some(Data::Other(text.into_owned())),
        };
    }
    let rest = &bytes[(first.len() + 1).min(bytes.len())..];
    let mut cursor = Cursor { bytes: rest, at: 0 };
    match first {
        "VANISHED" => {
            let (earlier, set) = match text[9..].strip_prefix("(EARLIER) ") {
                Some(set) => (true, set.to_owned()),
                None => (false, text[9..].to_owned()),
            };
            Some(Data::Vanished { earlier, uids: set_of(&set)? })
        }
        "LIST" => {
            cursor.list()?;
            cursor.value()?;
            Some(Data::List(String::from_utf8(cursor.value()?).ok()?))
        }
        "STATUS" => {
            let name = String::from_utf8(cursor.value()?).ok()?;
            let words = cursor.list()?;
            let pairs = words.chunks(2).map(|pair| Some((pair[0].clone(), pair.get(1)?.parse().ok()?)));
            Some(Data::MailboxStatus(name, pairs.collect::<Option<_>>()?))
        }
        "SEARCH" => Some(Data::Search(
            text.split_whitespace().skip(1).map_while(|number| number.parse().ok()).collect(),
        )),
        _ => Some(Data::Other(text.into_owned())),
    }
}

fn item(cursor: &mut Cursor) -> Option<Item> {
    let mut item = Item::default();
    cursor.expect(b'(')?;
    while !cursor.eat(b')') {
        let name = cursor.name()?;
        match name.as_str() {
            "UID" => item.uid = Some(cursor.word()?.parse().ok()?),
            "MODSEQ" => item.modseq = Some(cursor.list()?.first()?.parse().ok()?),
            "FLAGS" => {
                let mut flags = cursor.list()?;
                flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
                flags.sort();
                item.flags = Some(flags);
            }
            name if name.starts_with("BODY[") => item.body = Some(cursor.value()?),
            _ => return None,
        }
    }
    Some(item)
}

/// The numbers of `1:3,7`, in the order in which they stand there.
pub fn set_of(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if (last.abs_diff(first) as usize) + numbers.len() > LIMIT {
            return None;
        }
        numbers.extend(first.min(last)..=first.max(last));
    }
    Some(numbers)
}

/// Reads tokens, one after the other; spaces between them are skipped.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn word(&mut self) -> Option<String> {
        self.peek()?;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| b" ()".contains(b)).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    /// The name of an item; a section, whatever it contains, is part of it.
    fn name(&mut self) -> Option<String> {
        self.peek()?;
        let rest = &self.bytes[self.at..];
        let mut inside = false;
        let ends = |b: &u8| {
            inside = (inside || *b == b'[') && *b != b']';
            !inside && b" ()".contains(b)
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| String::from_utf8_lossy(&rest[..length]).to_ascii_uppercase())
    }

    /// `(a b c)`
    fn list(&mut self) -> Option<Vec<String>> {
        self.expect(b'(')?;
        let mut words = Vec::new();
        while !self.eat(b')') {
            words.push(self.word()?);
        }
        Some(words)
    }

    /// A string in any of its forms, or an atom.
    fn value(&mut self) -> Option<Vec<u8>> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                let mut value = Vec::new();
                loop {
                    let byte = *self.bytes.get(self.at)?;
                    self.at += 1;
                    match byte {
                        b'"' => return Some(value),
                        b'\\' => {
                            value.push(*self.bytes.get(self.at)?);
                            self.at += 1;
                        }
                        byte => value.push(byte),
                    }
                }
            }
            b'{' => {
                let rest = &self.bytes[self.at..];
                let end = rest.iter().position(|b| *b == b'}')?;
                let length: usize = std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()?;
                let value = rest.get(end + 3..end + 3 + length)?.to_vec();
                self.at += end + 3 + length;
                Some(value)
            }
            _ => self.word().map(String::into_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(said: &[u8]) -> Vec<Response> {
        let mut wire =
            Wire::new(Box::new(std::io::Cursor::new(said.to_vec())), std::time::Duration::from_secs(1));
        let mut responses = Vec::new();
        while let Ok(response) = read(&mut wire).await {
            responses.push(response);
        }
        responses
    }

    #[tokio::test]
    async fn literals_may_hold_anything_even_what_looks_like_the_end() {
        let said = b"* 3 FETCH (UID 7 FLAGS (\\Seen \\Recent $a) MODSEQ (12) BODY[HEADER.FIELDS (X-Sim)] {9}\r\n)\r\n* {3}\r FLAGS (b))\r\na1 OK done\r\n";
        let responses = all(said).await;
        // The later FLAGS wins; what matters is where the literal ends.
        let item = Item {
            uid: Some(7),
            modseq: Some(12),
            flags: Some(vec!["b".into()]),
            body: Some(b")\r\n* {3}\r".to_vec()),
        };
        assert_eq!(responses[0], Response::Untagged(Data::Fetch(3, item)));
        assert!(matches!(&responses[1], Response::Tagged(tag, status) if tag == "a1" && status.kind == "OK"));
    }

    #[tokio::test]
    async fn all_that_the_clients_need_is_read() {
        let said = b"* VANISHED (EARLIER) 1:3,9\r\n* LIST (\\A \\B) \"/\" \"a \\\"b\"\r\n* STATUS INBOX (MESSAGES 3 UIDNEXT 9)\r\n\
            * SEARCH 1 4 (MODSEQ 3)\r\n* OK [COPYUID 5 1:2 7,9] Moved\r\n+ go\r\n* 2 EXPUNGE\r\n* 3 EXISTS\r\n* BYE so\r\n";
        let counts = BTreeMap::from([("MESSAGES".into(), 3), ("UIDNEXT".into(), 9)]);
        let responses = all(said).await;
        let moved = Status {
            kind: "OK".into(),
            code: Some(("COPYUID".into(), "5 1:2 7,9".into())),
            text: "Moved".into(),
        };
        let bye = Status { kind: "BYE".into(), code: None, text: "so".into() };
        let expected = [
            Data::Vanished { earlier: true, uids: vec![1, 2, 3, 9] },
            Data::List("a \"b".into()),
            Data::MailboxStatus("INBOX".into(), counts),
            Data::Search(vec![1, 4]),
            Data::Status(moved),
        ];
        let mut expected: Vec<Response> = expected.into_iter().map(Response::Untagged).collect();
        expected.push(Response::Continue("go".into()));
        expected.extend([Data::Expunge(2), Data::Exists(3), Data::Status(bye)].map(Response::Untagged));
        assert_eq!(responses, expected);
    }
}
