//! OP_MSG, as little of it as members need among themselves.
//!
//! <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg>

use bson::Document;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const OP_MSG: i32 = 2013;
/// Length, request, response to, code; flags, kind of the only section.
const HEADER: usize = 16 + 4 + 1;
/// `maxMessageSizeBytes`.
const LIMIT: usize = 48_000_000;

/// Sends a document, with the number of its request and of the one it answers.
pub async fn send(
    io: &mut (impl AsyncWrite + Unpin),
    document: &Document,
    id: i32,
    answers: i32,
) -> io::Result<()> {
    let mut message = vec![0; HEADER];
    document.to_writer(&mut message).map_err(io::Error::other)?;
    let length = i32::try_from(message.len()).map_err(io::Error::other)?;
    for (at, number) in [(0, length), (4, id), (8, answers), (12, OP_MSG)] {
        message[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    io.write_all(&message).await?;
    io.flush().await
}

/// Receives a document, and the number of its request.
pub async fn receive(io: &mut (impl AsyncRead + Unpin)) -> io::Result<(i32, Document)> {
    let mut header = [0; HEADER];
    io.read_exact(&mut header).await?;
    let number = |at: usize| header[at..].first_chunk::<4>().map_or(0, |bytes| i32::from_le_bytes(*bytes));
    let length = usize::try_from(number(0)).ok().filter(|length| (HEADER..=LIMIT).contains(length));
    let (Some(length), OP_MSG, 0, 0) = (length, number(12), number(16), header[20]) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of a member"));
    };
    // Grows with what comes, not with what is announced.
    let mut body = Vec::new();
    let rest = length - HEADER;
    if io.take(rest as u64).read_to_end(&mut body).await? < rest {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let document =
        Document::from_reader(&*body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok((number(4), document))
}
