//! BINARY (RFC 3516, RFC 9051 §6.4.5.1): parts without their transfer encoding. How long one is shows only when it has been
//! decoded, so it is read twice: once for its size, once for the client.

use super::fetch::{Body, PIECE};
use super::{Fail, Session};
use crate::imap::types::{FetchItem, Partial};
use crate::imap::wire::Wire;
use gadwall_storage::mime::{Structure, TransferDecoder};
use std::ops::Range;

/// A part's encoded bytes, and how to decode them.
struct Encoded {
    range: Range<u64>,
    decoder: TransferDecoder,
}

/// What is to be sent of a decoded part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wanted {
    len: u64,
    /// Then it goes as a literal8.
    has_nul: bool,
}

/// The part of that path; `Err` if its encoding is not known. `Ok(None)`: there is no such part.
fn encoded(path: &[u32], structure: &Structure) -> Result<Option<Encoded>, ()> {
    // The message itself and what holds other parts are in no encoding but 7bit, 8bit or binary (RFC 2045 §6.4).
    let (range, encoding) = match path {
        [] => (0..structure.size, "binary"),
        path => match structure.part(path) {
            None => return Ok(None),
            Some(part) if part.content.is_leaf() => (part.body.clone(), part.encoding.trim()),
            Some(part) => (part.body.clone(), "binary"),
        },
    };
    let decoder = TransferDecoder::new(encoding).ok_or(())?;
    Ok(Some(Encoded { range, decoder }))
}

/// Whether an item can be answered: whatever it is, if it is not of BINARY.
pub(super) fn is_decodable(item: &FetchItem, structure: &Structure) -> bool {
    match item {
        FetchItem::Binary { path, .. } | FetchItem::BinarySize { path } => encoded(path, structure).is_ok(),
        _ => true,
    }
}

impl Session {
    pub(super) async fn binary(
        &self,
        path: &[u32],
        partial: Option<Partial>,
        structure: &Structure,
        body: &mut Body<'_, '_>,
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        let cut = Cut::of(partial);
        let found = encoded(path, structure).ok().flatten();
        let wanted = match found {
            Some(part) => Some(self.measure(part, cut, body).await?),
            None => None,
        };
        write_name("BINARY", path, wire.out());
        if let Some(partial) = partial {
            wire.out().extend_from_slice(format!("<{}>", partial.first).as_bytes());
        }
        let (Some(wanted), Ok(Some(part))) = (wanted, encoded(path, structure)) else {
            wire.out().extend_from_slice(b" NIL");
            return Ok(());
        };
        // RFC 3516 §4.3: a literal8 only where there is a NUL.
        let sign = if wanted.has_nul { "~" } else { "" };
        wire.out().extend_from_slice(format!(" {sign}{{{}}}\r\n", wanted.len).as_bytes());
        let mut decoding = Decoding::new(part, cut);
        let mut sent = 0;
        while let Some(piece) = decoding.next(self, body).await? {
            sent += piece.len() as u64;
            wire.out().extend_from_slice(piece);
            wire.relieve().await?;
        }
        // What was announced and what comes agree, or the connection ends.
        if sent == wanted.len { Ok(()) } else { Err(std::io::Error::other("a part changed its size").into()) }
    }

    pub(super) async fn binary_size(
        &self,
        path: &[u32],
        structure: &Structure,
        body: &mut Body<'_, '_>,
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        let wanted = match encoded(path, structure).ok().flatten() {
            Some(part) => self.measure(part, Cut::of(None), body).await?,
            None => Wanted::default(),
        };
        write_name("BINARY.SIZE", path, wire.out());
        wire.out().extend_from_slice(format!(" {}", wanted.len).as_bytes());
        Ok(())
    }

    async fn measure(&self, part: Encoded, cut: Cut, body: &mut Body<'_, '_>) -> Result<Wanted, Fail> {
        let mut decoding = Decoding::new(part, cut);
        let mut wanted = Wanted::default();
        while let Some(piece) = decoding.next(self, body).await? {
            wanted.len += piece.len() as u64;
            wanted.has_nul |= memchr::memchr(0, piece).is_some();
        }
        Ok(wanted)
    }
}

/// A partial as it moves along the decoded bytes: so many are passed over, so many are taken.
#[derive(Debug, Clone, Copy)]
struct Cut {
    skip: u64,
    take: u64,
}

impl Cut {
    fn of(partial: Option<Partial>) -> Self {
        match partial {
            None => Cut { skip: 0, take: u64::MAX },
            Some(partial) => Cut { skip: partial.first.into(), take: partial.count.get().into() },
        }
    }

    /// What of the next `len` bytes is wanted.
    fn advance(&mut self, len: usize) -> Range<usize> {
        let len = len as u64;
        let start = self.skip.min(len);
        let end = start + self.take.min(len - start);
        self.skip -= start;
        self.take -= end - start;
        start as usize..end as usize
    }
}

/// A part on its way through the decoder.
struct Decoding {
    part: Encoded,
    cut: Cut,
    decoded: Vec<u8>,
    finished: bool,
}

impl Decoding {
    fn new(part: Encoded, cut: Cut) -> Self {
        Decoding { part, cut, decoded: Vec::new(), finished: false }
    }

    /// The next bytes that are wanted, perhaps none of them yet; `None` when there are no more.
    async fn next(&mut self, session: &Session, body: &mut Body<'_, '_>) -> Result<Option<&[u8]>, Fail> {
        if self.finished || self.cut.take == 0 {
            return Ok(None);
        }
        self.decoded.clear();
        // Others have their turn, however large the part.
        tokio::task::yield_now().await;
        let Range { start, end } = self.part.range;
        if start < end {
            let len = (end - start).min(PIECE as u64) as usize;
            let piece = body.open(session).await?.read_at(start, len).await.map_err(std::io::Error::other)?;
            if piece.is_empty() {
                return Err(std::io::Error::other("a body ends before its size").into());
            }
            self.part.range.start += piece.len() as u64;
            self.part.decoder.feed(&piece, &mut self.decoded);
        } else {
            self.finished = true;
            self.part.decoder.finish(&mut self.decoded);
        }
        let wanted = self.cut.advance(self.decoded.len());
        Ok(Some(&self.decoded[wanted]))
    }
}

/// `BINARY[1.2]`
fn write_name(name: &str, path: &[u32], out: &mut Vec<u8>) {
    let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
    out.extend_from_slice(format!("{name}[{}]", numbers.join(".")).as_bytes());
}
