//! The files of a member: the journal of entries and the last vote.
//!
//! A frame is: a mark, the payload's length, a checksum of both lengths and payload, the payload. The payload begins
//! with the length of the journal that was known to be synced when the frame was written, and the commit point; then
//! comes the entry. So recovery can tell a tail that was never synced, which it cuts off, from damage to what was.

use super::event::{Recovered, Vote, Write};
use super::history::Record;
use crate::disk::Disk;
use crate::oplog::OpTime;
use bson::{Document, doc};
use std::io;
use std::sync::Arc;

const JOURNAL: &str = "journal";
const VOTE: &str = "vote";
const MARK: [u8; 4] = *b"\xf5jnl";
/// Mark, length, checksum.
const HEADER: usize = 4 + 4 + 16;
/// Synced length, commit point.
const PREFIX: usize = 8 + 8 + 8;

/// The member can't go on with its files.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    #[error("the journal is damaged at byte {at}, where it had been synced")]
    Damaged { at: usize },
    #[error("the journal goes on with {found:?} after {after:?}")]
    Gap { after: OpTime, found: OpTime },
    #[error("the last vote can't be read")]
    Vote,
}

pub struct Journal {
    disk: Arc<dyn Disk>,
    /// Where each entry's frame ends.
    ends: Vec<u64>,
    synced: u64,
    /// Written and not yet handed to the disk.
    buffer: Vec<u8>,
    is_dirty: bool,
}

impl Journal {
    /// Reads what there is, and makes it durable: a process that died may have left it with the operating system.
    pub async fn recover(disk: Arc<dyn Disk>) -> Result<(Self, Recovered), JournalError> {
        let bytes = disk.read(JOURNAL).await?;
        let mut journal = Journal { disk, ends: vec![], synced: 0, buffer: vec![], is_dirty: true };
        let mut recovered = Recovered { vote: journal.read_vote().await?, ..Recovered::default() };
        let mut at = 0;
        while let Some(frame) = Frame::read(&bytes[at..]) {
            let after = recovered.records.last().map(|record| record.at).unwrap_or_default();
            let found = frame.record.at;
            if found.index != after.index + 1 || found.term < after.term {
                return Err(JournalError::Gap { after, found });
            }
            at += frame.len;
            recovered.committed = frame.committed;
            recovered.records.push(frame.record);
            journal.ends.push(at as u64);
        }
        if at < bytes.len() {
            cut_is_harmless(&bytes, at)?;
            journal.disk.truncate(JOURNAL, at as u64).await?;
        }
        journal.sync().await?;
        Ok((journal, recovered))
    }

    /// Writes; durable after [`Journal::sync`], and a vote at once.
    pub async fn write(&mut self, write: Write) -> Result<(), JournalError> {
        match write {
            Write::Append { records, committed } => {
                for record in records {
                    self.append(&record, committed);
                }
            }
            Write::Truncate { len } => self.truncate(len).await?,
            Write::Vote(vote) => self.disk.replace(VOTE, &vote_bytes(vote)).await?,
        }
        Ok(())
    }

    pub async fn sync(&mut self) -> Result<(), JournalError> {
        self.flush().await?;
        if std::mem::take(&mut self.is_dirty) {
            self.disk.sync(JOURNAL).await?;
            self.synced = self.len();
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn append(&mut self, record: &Record, committed: OpTime) {
        let frame = Frame::bytes(record, self.synced, committed);
        self.ends.push(self.len() + frame.len() as u64);
        self.buffer.extend(frame);
    }

    /// Hands to the disk what was written.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.is_dirty = true;
            self.disk.append(JOURNAL, &std::mem::take(&mut self.buffer)).await?;
        }
        Ok(())
    }

    async fn truncate(&mut self, entries: u64) -> io::Result<()> {
        self.flush().await?;
        self.ends.truncate(usize::try_from(entries).unwrap_or(usize::MAX));
        let len = self.len();
        // What is synced beyond is no longer promised: frames from now on say so.
        self.synced = self.synced.min(len);
        self.is_dirty = true;
        self.disk.truncate(JOURNAL, len).await
    }

    async fn read_vote(&self) -> Result<Option<Vote>, JournalError> {
        let bytes = self.disk.read(VOTE).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let (checksum, document) = bytes.split_first_chunk::<16>().ok_or(JournalError::Vote)?;
        if digest(&[document]) != *checksum {
            return Err(JournalError::Vote);
        }
        let document = Document::from_reader(document).map_err(|_| JournalError::Vote)?;
        let number = |name| document.get_i64(name).map(i64::cast_unsigned).map_err(|_| JournalError::Vote);
        let candidate = usize::try_from(number("candidate")?).map_err(|_| JournalError::Vote)?;
        Ok(Some(Vote { term: number("term")?, candidate }))
    }
}

/// Whether nothing that was synced is lost with the bytes from `at` on, as far as the frames after it tell.
fn cut_is_harmless(bytes: &[u8], at: usize) -> Result<(), JournalError> {
    let marks = (at + 1..bytes.len()).filter(|from| bytes[*from..].starts_with(&MARK));
    let claims_more = |from: usize| Frame::read(&bytes[from..]).is_some_and(|frame| frame.synced > at as u64);
    if marks.into_iter().any(claims_more) {
        return Err(JournalError::Damaged { at });
    }
    Ok(())
}

struct Frame {
    record: Record,
    synced: u64,
    committed: OpTime,
    len: usize,
}

impl Frame {
    fn bytes(record: &Record, synced: u64, committed: OpTime) -> Vec<u8> {
        let mut payload = Vec::with_capacity(PREFIX + record.raw.len());
        for number in [synced, committed.term, committed.index] {
            payload.extend(number.to_le_bytes());
        }
        payload.extend(&*record.raw);
        let length =
            u32::try_from(payload.len()).expect("an entry fits a message, and so 48 MB").to_le_bytes();
        [&MARK[..], &length, &digest(&[&length, &payload]), &payload].concat()
    }

    /// The frame at the beginning of `bytes`, if it is whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let length = header[4..].first_chunk::<4>()?;
        let payload = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        if header[..4] != MARK || header[8..] != digest(&[length, payload]) {
            return None;
        }
        let (prefix, raw) = payload.split_first_chunk::<PREFIX>()?;
        let number = |at: usize| prefix[at..].first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
        Some(Frame {
            record: Record::decode(raw).ok()?,
            synced: number(0)?,
            committed: OpTime { term: number(8)?, index: number(16)? },
            len: HEADER + payload.len(),
        })
    }
}

fn vote_bytes(vote: Vote) -> Vec<u8> {
    let document = doc! { "term": vote.term.cast_signed(), "candidate": vote.candidate as i64 };
    let document = document.to_vec().expect("two numbers can be written as BSON");
    [&digest(&[&document])[..], &document].concat()
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    parts.iter().for_each(|part| _ = hasher.update(part));
    *hasher.finalize().as_bytes().first_chunk().expect("a digest has 32 bytes")
}
