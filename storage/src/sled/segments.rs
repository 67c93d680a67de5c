//! Segment files: where message content lives, append-only. A segment nobody refers to is deleted; one that is mostly
//! dead is written again by the sweep.

use super::records::Location;
use crate::{Result, StoreError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A segment is closed once it has grown to this, in bytes.
pub const SEGMENT_LEN: u64 = 64 << 20;

pub struct Segments {
    directory: PathBuf,
    /// [`SEGMENT_LEN`], or less where a test wants many.
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The number of the next segment.
    next: u32,
    files: BTreeMap<u32, Arc<File>>,
    /// Written to since the last sync.
    dirty: BTreeSet<u32>,
    /// Writers whose chunks no record names yet, each with the first segment it may have written to.
    tickets: BTreeMap<u64, u32>,
    next_ticket: u64,
}

/// Held by who writes chunks until a record names them: no segment they may be in is deleted meanwhile.
pub struct Ticket {
    segments: Arc<Segments>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.segments.state().tickets.remove(&self.number);
    }
}

struct Current {
    number: u32,
    file: Arc<File>,
    tail: u64,
}

impl Segments {
    /// Those of a directory. Nothing is appended to segments that are there: what a crash left at their ends is dead.
    pub fn open(directory: &Path, limit: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let next = numbers(directory)?.last().map_or(1, |last| last + 1);
        let state = State { next, ..State::default() };
        Ok(Self { directory: directory.to_owned(), limit, state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:08}.seg"))
    }

    /// To be asked for before the first chunk is written.
    pub fn ticket(self: &Arc<Self>) -> Ticket {
        let mut state = self.state();
        let first = state.current.as_ref().map_or(state.next, |c| c.number);
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.tickets.insert(number, first);
        Ticket { segments: self.clone(), number }
    }

    /// Writes a chunk. It is durable after the next [`Segments::sync`].
    pub fn append(&self, chunk: &[u8]) -> Result<Location> {
        let (number, file, offset) = self.reserve(chunk.len() as u64)?;
        write_all_at(&file, chunk, offset).map_err(|e| StoreError::io("writing a segment", &e))?;
        // After the write: a sync in between has not covered it.
        self.state().dirty.insert(number);
        Ok(Location { segment: number, offset: offset as u32, len: chunk.len() as u32 })
    }

    fn reserve(&self, len: u64) -> Result<(u32, Arc<File>, u64)> {
        let mut state = self.state();
        if state.current.as_ref().is_none_or(|c| c.tail + len > self.limit) {
            let number = state.next;
            let file = self.create(number).map_err(|e| StoreError::io("starting a segment", &e))?;
            state.next += 1;
            let file = Arc::new(file);
            state.files.insert(number, file.clone());
            state.current = Some(Current { number, file, tail: 0 });
        }
        let current = state.current.as_mut().ok_or_else(|| StoreError::unavailable("no segment"))?;
        let offset = current.tail;
        current.tail += len;
        Ok((current.number, current.file.clone(), offset))
    }

    fn create(&self, number: u32) -> std::io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(number))?;
        File::open(&self.directory)?.sync_all()?;
        Ok(file)
    }

    /// Makes every chunk durable that was written before the call.
    pub fn sync(&self) -> std::io::Result<()> {
        let dirty: Vec<Arc<File>> = {
            let mut state = self.state();
            let dirty = std::mem::take(&mut state.dirty);
            dirty.iter().filter_map(|number| state.files.get(number).cloned()).collect()
        };
        dirty.iter().try_for_each(|file| file.sync_data())
    }

    /// The file of a segment, which stays readable after the segment was deleted.
    pub fn file(&self, number: u32) -> Result<Arc<File>> {
        let mut state = self.state();
        if let Some(file) = state.files.get(&number) {
            return Ok(file.clone());
        }
        let file = File::open(self.path(number)).map_err(|e| StoreError::io("opening a segment", &e))?;
        let file = Arc::new(file);
        state.files.insert(number, file.clone());
        Ok(file)
    }

    /// Segments that nobody writes to any more and how long they are, in bytes.
    pub fn closed(&self) -> std::io::Result<Vec<(u32, u64)>> {
        let first_open = {
            let state = self.state();
            let current = state.current.as_ref().map_or(state.next, |c| c.number);
            state.tickets.values().copied().min().map_or(current, |ticket| ticket.min(current))
        };
        let closed = numbers(&self.directory)?.into_iter().filter(|n| *n < first_open);
        let lengths = closed.map(|n| match std::fs::metadata(self.path(n)) {
            Ok(found) => Ok(Some((n, found.len()))),
            // A commit has deleted it since it was listed.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        });
        lengths.filter_map(Result::transpose).collect()
    }

    /// Closes the segment that is being written to once it is half full, so that it can be looked at by the sweep.
    pub fn roll(&self) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|c| c.tail > self.limit / 2) {
            state.current = None;
        }
    }

    pub fn delete(&self, number: u32) -> std::io::Result<()> {
        let mut state = self.state();
        state.files.remove(&number);
        state.dirty.remove(&number);
        std::fs::remove_file(self.path(number))
    }
}

/// Reads one chunk.
pub fn read(file: &File, at: Location) -> Result<Bytes> {
    let mut chunk = vec![0; at.len as usize];
    read_exact_at(file, &mut chunk, u64::from(at.offset)).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => StoreError::Corrupt("a segment ends within a chunk".into()),
        _ => StoreError::io("reading a segment", &e),
    })?;
    Ok(chunk.into())
}

fn numbers(directory: &Path) -> std::io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        numbers
            .extend(name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = &bytes[n..];
        offset += n as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes = &mut bytes[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
