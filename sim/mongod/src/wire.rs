//! Messages of MongoDB's wire protocol: OP_MSG, and the OP_QUERY of a first hello.
//!
//! <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>

use bson::{Bson, Document, doc};
use tokio::io::{AsyncRead, AsyncReadExt};

/// `maxMessageSizeBytes`.
pub const MESSAGE_LIMIT: usize = 48_000_000;
const HEADER: usize = 16;
const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;
const CHECKSUM_PRESENT: u32 = 1;
const MORE_TO_COME: u32 = 2;
const EXHAUST_ALLOWED: u32 = 1 << 16;
/// Bits that have to be understood by whoever reads the message.
const REQUIRED: u32 = 0xffff;

/// A command as it came; between members, an answer too.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: i32,
    /// With the document sequences as arrays, and `$db`.
    pub command: Document,
    /// `moreToCome`: no reply is wanted.
    pub silent: bool,
    /// An OP_QUERY, which is answered with an OP_REPLY.
    legacy: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the connection: {0}")]
    Io(#[from] std::io::Error),
    #[error("a message of {0} bytes")]
    Length(i64),
    #[error("a message that can't be read: {0}")]
    Malformed(String),
}

fn malformed(text: impl Into<String>) -> WireError {
    WireError::Malformed(text.into())
}

/// Reads a message; `None` when the peer has closed the connection between two.
pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> Result<Option<Request>, WireError> {
    let mut header = [0; HEADER];
    match io.read_exact(&mut header).await {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let number = |at: usize| header[at..].first_chunk::<4>().map_or(0, |bytes| i32::from_le_bytes(*bytes));
    let (length, id, code) = (number(0), number(4), number(12));
    let rest = usize::try_from(length).ok().and_then(|n| n.checked_sub(HEADER));
    let rest = rest.filter(|rest| *rest <= MESSAGE_LIMIT - HEADER).ok_or(WireError::Length(length.into()))?;
    // Grows with what comes, not with what is announced.
    let mut body = Vec::new();
    io.take(rest as u64).read_to_end(&mut body).await?;
    if body.len() < rest {
        return Err(WireError::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    match code {
        OP_MSG => message(id, &body).map(Some),
        OP_QUERY => query(id, &body).map(Some),
        other => Err(malformed(format!("operation {other} is not simulated"))),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or_else(|| malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i32, WireError> {
        let bytes = self.bytes(4)?;
        Ok(bytes.first_chunk::<4>().map_or(0, |bytes| i32::from_le_bytes(*bytes)))
    }

    fn name(&mut self) -> Result<&'a str, WireError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(|| malformed("a name without end"))?;
        let name = self.bytes(end)?;
        self.bytes(1)?;
        std::str::from_utf8(name).map_err(|_| malformed("a name that is not UTF-8"))
    }

    fn document(&mut self) -> Result<Document, WireError> {
        let length = self.0.first_chunk::<4>().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        let bytes = self.bytes(usize::try_from(length).map_err(|_| malformed("a negative length"))?)?;
        Document::from_reader(bytes).map_err(|e| malformed(e.to_string()))
    }
}

fn message(id: i32, body: &[u8]) -> Result<Request, WireError> {
    let mut reader = Reader(body);
    let flags = reader.int()? as u32;
    let strange = flags & REQUIRED & !(CHECKSUM_PRESENT | MORE_TO_COME);
    if strange != 0 || flags & EXHAUST_ALLOWED != 0 {
        return Err(malformed(format!("flags {flags:#x} are not simulated")));
    }
    if flags & CHECKSUM_PRESENT != 0 {
        // Over a stream that has its own: it is taken off unread.
        let end = reader.0.len().checked_sub(4).ok_or_else(|| malformed("a checksum is missing"))?;
        reader.0 = &reader.0[..end];
    }
    let (mut command, mut sequences): (Option<Document>, Vec<(String, Bson)>) = (None, Vec::new());
    while !reader.0.is_empty() {
        match reader.bytes(1)?[0] {
            0 if command.is_none() => command = Some(reader.document()?),
            1 => sequences.push(sequence(&mut reader)?),
            kind => return Err(malformed(format!("an unexpected section of kind {kind}"))),
        }
    }
    let mut command = command.ok_or_else(|| malformed("a message without a body"))?;
    for (name, documents) in sequences {
        if command.insert(name, documents).is_some() {
            return Err(malformed("a field that is given twice"));
        }
    }
    Ok(Request { id, command, silent: flags & MORE_TO_COME != 0, legacy: false })
}

fn sequence(reader: &mut Reader<'_>) -> Result<(String, Bson), WireError> {
    let length = usize::try_from(reader.int()?).ok().and_then(|n| n.checked_sub(4));
    let mut within = Reader(reader.bytes(length.ok_or_else(|| malformed("a sequence's length"))?)?);
    let name = within.name()?.to_owned();
    let mut documents = Vec::new();
    while !within.0.is_empty() {
        documents.push(Bson::Document(within.document()?));
    }
    Ok((name, Bson::Array(documents)))
}

/// Only a hello may come this way: <https://www.mongodb.com/docs/manual/legacy-opcodes/>
fn query(id: i32, body: &[u8]) -> Result<Request, WireError> {
    let mut reader = Reader(body);
    reader.int()?;
    let ns = reader.name()?;
    let database = ns.strip_suffix(".$cmd").ok_or_else(|| malformed("OP_QUERY is only for commands"))?;
    // How many to skip and to return.
    reader.bytes(8)?;
    let mut command = reader.document()?;
    if !command.keys().next().is_some_and(|name| matches!(name.as_str(), "isMaster" | "ismaster" | "hello")) {
        return Err(malformed("OP_QUERY is only for hello"));
    }
    command.insert("$db", database);
    Ok(Request { id, command, silent: false, legacy: true })
}

impl Request {
    /// The message that answers this one.
    pub fn reply(&self, reply: &Document, id: i32) -> Result<Vec<u8>, WireError> {
        let mut message = vec![0; HEADER];
        if self.legacy {
            // Flags (await capable), cursor, starting from, number of documents.
            message.extend(8_i32.to_le_bytes());
            message.extend(0_i64.to_le_bytes());
            message.extend(0_i32.to_le_bytes());
            message.extend(1_i32.to_le_bytes());
        } else {
            message.extend(0_i32.to_le_bytes());
            message.push(0);
        }
        reply.to_writer(&mut message).map_err(|e| malformed(e.to_string()))?;
        let code = if self.legacy { OP_REPLY } else { OP_MSG };
        let length = i32::try_from(message.len()).map_err(|_| WireError::Length(i64::MAX))?;
        for (at, value) in [(0, length), (4, id), (8, self.id), (12, code)] {
            message[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        Ok(message)
    }
}

/// A command as an OP_MSG, for members that talk to each other.
pub fn request(command: &Document, id: i32) -> Result<Vec<u8>, WireError> {
    let none = Request { id: 0, command: doc! {}, silent: false, legacy: false };
    none.reply(command, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(code: i32, body: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for n in [(HEADER + body.len()) as i32, 7, 0, code] {
            all.extend(n.to_le_bytes());
        }
        all.extend(body);
        all
    }

    async fn read_all(mut bytes: &[u8]) -> Result<Option<Request>, WireError> {
        read(&mut bytes).await
    }

    fn with_sequence(flags: u32) -> Vec<u8> {
        let mut body = flags.to_le_bytes().to_vec();
        let mut sequence = b"documents\0".to_vec();
        for id in [1, 2] {
            sequence.extend(doc! { "_id": id }.to_vec().unwrap());
        }
        body.push(1);
        body.extend((sequence.len() as i32 + 4).to_le_bytes());
        body.extend(sequence);
        body.push(0);
        body.extend(doc! { "insert": "c", "$db": "db" }.to_vec().unwrap());
        body
    }

    #[tokio::test]
    async fn sequences_become_arrays_and_checksums_go() {
        let expected = doc! { "insert": "c", "$db": "db", "documents": [{ "_id": 1 }, { "_id": 2 }] };
        let read = read_all(&framed(OP_MSG, &with_sequence(0))).await.unwrap().unwrap();
        assert_eq!((&read.command, read.id, read.silent), (&expected, 7, false));
        let mut body = with_sequence(CHECKSUM_PRESENT | MORE_TO_COME);
        body.extend([0xff; 4]);
        let read = read_all(&framed(OP_MSG, &body)).await.unwrap().unwrap();
        assert_eq!((&read.command, read.silent), (&expected, true));
    }

    #[tokio::test]
    async fn an_old_hello_is_answered_in_its_own_way() {
        let mut body = vec![0; 4];
        body.extend(b"admin.$cmd\0");
        body.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        let mut other = body.clone();
        body.extend(doc! { "isMaster": 1 }.to_vec().unwrap());
        let read = read_all(&framed(OP_QUERY, &body)).await.unwrap().unwrap();
        assert_eq!(read.command, doc! { "isMaster": 1, "$db": "admin" });
        let reply = read.reply(&doc! { "ok": 1.0 }, 3).unwrap();
        assert_eq!((reply[12], reply[8], &reply[36..]), (1, 7, &doc! { "ok": 1.0 }.to_vec().unwrap()[..]));
        other.extend(doc! { "find": 1 }.to_vec().unwrap());
        assert!(matches!(read_all(&framed(OP_QUERY, &other)).await, Err(WireError::Malformed(_))));
    }

    #[tokio::test]
    async fn whatever_comes_ends_in_an_error() {
        let whole = framed(OP_MSG, &with_sequence(0));
        for cut in 1..whole.len() {
            let mut message = whole[..cut].to_vec();
            if cut >= HEADER {
                message[..4].copy_from_slice(&(cut as i32).to_le_bytes());
                assert!(read_all(&message).await.is_err(), "{cut}");
            }
        }
        assert!(matches!(read_all(&[]).await, Ok(None)));
        for length in [-1, 0, 15, MESSAGE_LIMIT as i32 + 1, i32::MAX] {
            let mut message = whole.clone();
            message[..4].copy_from_slice(&length.to_le_bytes());
            assert!(matches!(read_all(&message).await, Err(WireError::Length(_))), "{length}");
        }
        assert!(read_all(&framed(OP_MSG, &with_sequence(EXHAUST_ALLOWED))).await.is_err());
        assert!(read_all(&framed(OP_MSG, &with_sequence(4))).await.is_err());
        assert!(read_all(&framed(2012, &[0; 20])).await.is_err(), "compressed");
    }
}
