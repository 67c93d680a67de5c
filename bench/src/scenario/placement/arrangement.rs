//! The two arrangements. Both are made durable as docs/adr/0002 says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A body is cut into pieces of this many bytes, as Gadwall does.
pub const CHUNK: usize = 64 << 10;
/// A segment file is closed once it has grown to this.
const SEGMENT: u64 = 64 << 20;
/// What is kept of each body beside its bytes: about as long as Gadwall's records of a message.
const RECORD: usize = 400;

pub type Body = u64;

/// Where bodies are put.
pub trait Arrangement {
    /// Writes some and takes some away, durable when it returns.
    fn commit(&mut self, put: &[(Body, &[u8])], taken: &[Body]) -> io::Result<()>;

    /// Gives space back, as the sweep does.
    fn sweep(&mut self) -> io::Result<()>;
}

struct Index {
    sled: sled::Db,
    file: File,
}

impl Index {
    fn open(dir: &Path) -> io::Result<Self> {
        let config = sled::Config::new().path(dir).segment_size(4 << 20).cache_capacity(64 << 20);
        let sled = config.flush_every_ms(None).mode(sled::Mode::HighThroughput).open()?;
        Ok(Self { sled, file: File::open(dir.join("db"))? })
    }

    fn commit(&self, batch: sled::Batch) -> io::Result<()> {
        self.sled.apply_batch(batch)?;
        self.sled.flush()?;
        self.file.sync_data()
    }
}

fn key(kind: u8, body: Body, index: u32) -> Vec<u8> {
    [&[kind][..], &body.to_be_bytes(), &index.to_be_bytes()].concat()
}

/// Chunks are values of the database.
pub struct InDatabase(Index);

impl InDatabase {
    pub fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self(Index::open(&dir.join("index"))?))
    }
}

impl Arrangement for InDatabase {
    fn commit(&mut self, put: &[(Body, &[u8])], taken: &[Body]) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for (body, bytes) in put {
            for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
                batch.insert(key(b'c', *body, index), chunk);
            }
            let mut record = vec![0; RECORD];
            record[..4].copy_from_slice(&(bytes.len().div_ceil(CHUNK) as u32).to_be_bytes());
            batch.insert(key(b'r', *body, 0), record);
        }
        for body in taken {
            let record = self.0.sled.get(key(b'r', *body, 0))?.ok_or(io::ErrorKind::NotFound)?;
            let chunks = u32::from_be_bytes(record[..4].try_into().map_err(io::Error::other)?);
            (0..chunks).for_each(|index| batch.remove(key(b'c', *body, index)));
            batch.remove(key(b'r', *body, 0));
        }
        self.0.commit(batch)
    }

    fn sweep(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Chunks are in files that only grow; the database knows where.
pub struct Beside {
    index: Index,
    dir: PathBuf,
    segments: BTreeMap<u32, Segment>,
    current: u32,
    places: BTreeMap<Body, Place>,
}

struct Segment {
    file: File,
    len: u64,
    live: u64,
}

#[derive(Clone, Copy)]
struct Place {
    segment: u32,
    offset: u64,
    len: u64,
}

impl Beside {
    pub fn open(dir: &Path) -> io::Result<Self> {
        let index = Index::open(&dir.join("index"))?;
        let dir = dir.to_owned();
        Ok(Self { index, dir, segments: BTreeMap::new(), current: 0, places: BTreeMap::new() })
    }

    fn append(&mut self, body: Body, bytes: &[u8], batch: &mut sled::Batch) -> io::Result<()> {
        let is_full = self.segments.get(&self.current).is_none_or(|s| s.len + bytes.len() as u64 > SEGMENT);
        if is_full {
            self.current += 1;
            let path = self.dir.join(format!("{}.seg", self.current));
            let file = File::options().create_new(true).read(true).write(true).open(path)?;
            File::open(&self.dir)?.sync_all()?;
            self.segments.insert(self.current, Segment { file, len: 0, live: 0 });
        }
        let (number, segment) = self.segments.iter_mut().next_back().ok_or(io::ErrorKind::NotFound)?;
        let place = Place { segment: *number, offset: segment.len, len: bytes.len() as u64 };
        for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
            segment.file.write_all_at(chunk, place.offset + index * CHUNK as u64)?;
        }
        segment.len += place.len;
        segment.live += place.len;
        let mut record = vec![0; RECORD];
        record[..4].copy_from_slice(&place.segment.to_be_bytes());
        record[4..12].copy_from_slice(&place.offset.to_be_bytes());
        batch.insert(key(b'r', body, 0), record);
        self.places.insert(body, place);
        Ok(())
    }

    fn finish(&mut self, batch: sled::Batch) -> io::Result<()> {
        if let Some(segment) = self.segments.get(&self.current) {
            segment.file.sync_data()?;
        }
        self.index.commit(batch)
    }
}

impl Arrangement for Beside {
    fn commit(&mut self, put: &[(Body, &[u8])], taken: &[Body]) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        let first = self.current;
        for (body, bytes) in put {
            self.append(*body, bytes, &mut batch)?;
        }
        for body in taken {
            let place = self.places.remove(body).ok_or(io::ErrorKind::NotFound)?;
            if let Some(segment) = self.segments.get_mut(&place.segment) {
                segment.live -= place.len;
            }
            batch.remove(key(b'r', *body, 0));
        }
        // A group may have gone over into a new segment.
        if first != self.current
            && let Some(segment) = self.segments.get(&first)
        {
            segment.file.sync_data()?;
        }
        self.finish(batch)
    }

    /// Deletes dead segments and writes what is left of the sparsest one again, when less than a third of it is live.
    fn sweep(&mut self) -> io::Result<()> {
        let closed = || self.segments.iter().filter(|(number, _)| **number != self.current);
        let sparse =
            closed().filter(|(_, s)| s.live > 0 && s.live * 3 < s.len).map(|(number, _)| *number).next();
        if let Some(number) = sparse {
            let moved: Vec<(Body, Place)> =
                self.places.iter().filter(|(_, p)| p.segment == number).map(|(b, p)| (*b, *p)).collect();
            let mut batch = sled::Batch::default();
            for (body, place) in moved {
                let mut bytes = vec![0; place.len as usize];
                self.segments[&number].file.read_exact_at(&mut bytes, place.offset)?;
                self.append(body, &bytes, &mut batch)?;
            }
            self.finish(batch)?;
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.live = 0;
            }
        }
        let dead: Vec<u32> = self
            .segments
            .iter()
            .filter(|(n, s)| **n != self.current && s.live == 0)
            .map(|(n, _)| *n)
            .collect();
        for number in dead {
            std::fs::remove_file(self.dir.join(format!("{number}.seg")))?;
            self.segments.remove(&number);
        }
        Ok(())
    }
}

/// Bytes of disk that a directory takes, and how many files sled has put values into that it never syncs.
pub fn usage(dir: &Path) -> io::Result<(u64, usize)> {
    let (mut bytes, mut blobs) = (0, 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = usage(&entry.path())?;
            bytes += below.0;
            blobs += below.1;
        } else {
            bytes += entry.metadata()?.blocks() * 512;
            blobs += usize::from(dir.ends_with("blobs"));
        }
    }
    Ok((bytes, blobs))
}
