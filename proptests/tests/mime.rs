//! Messages split for storage and put together again, and parts found by their offsets.

use async_trait::async_trait;
use bytes::Bytes;
use gadwall_proptests::mime::{any_message, message};
use gadwall_proptests::{config, imap::split};
use gadwall_storage::body::{
    ChunkSource, Form, Ingest, Manifest, ManifestReader, SpoolConfig, Staged, chunk_count, chunks,
};
use gadwall_storage::mime::{Content, Part, Structure, scan};
use gadwall_storage::{BlobId, BodyReader, Result, StoreError};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;

/// Chunks in memory.
#[derive(Default)]
struct Shelf(BTreeMap<(BlobId, u32), Bytes>);

#[async_trait]
impl ChunkSource for Shelf {
    async fn chunk(&mut self, blob: &BlobId, index: u32) -> Result<Bytes> {
        self.0.get(&(*blob, index)).cloned().ok_or_else(|| StoreError::Corrupt("no such chunk".into()))
    }
}

fn shelve(staged: &Staged) -> ManifestReader<Shelf> {
    let manifest = Manifest::plan(staged).expect("a message in memory can be read");
    let mut shelf = Shelf::default();
    for (blob, piece) in manifest.blobs() {
        let all: Vec<Bytes> = chunks(staged, &manifest, piece).map(|c| c.expect("in memory")).collect();
        assert_eq!(all.len(), chunk_count(manifest.pieces[piece].stored_len) as usize);
        shelf.0.extend(all.into_iter().enumerate().map(|(i, chunk)| ((blob, i as u32), chunk)));
    }
    ManifestReader::new(manifest, shelf)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

async fn read(reader: &mut dyn BodyReader, mut at: usize, end: usize, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while at < end {
        let piece = reader.read_at(at as u64, step.min(end - at)).await.expect("in memory");
        assert!(!piece.is_empty() && piece.len() <= step.min(end - at), "{} bytes of {step}", piece.len());
        at += piece.len();
        all.extend_from_slice(&piece);
    }
    all
}

/// The message in pieces through what receives one.
fn ingest(message: &[u8], pieces: &[usize], spool: &SpoolConfig) -> Staged {
    let mut ingest = Ingest::new(spool);
    let mut rest = message;
    for len in pieces.iter().cycle() {
        let (piece, tail) = rest.split_at((*len).min(rest.len()));
        ingest.write(piece).expect("within the limit");
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    ingest.finish().expect("a spool can be read")
}

/// Every part, the embedded messages' own included.
fn parts(structure: &Structure) -> Vec<(Vec<u32>, &Part)> {
    let mut found = Vec::new();
    // RFC 3501 §6.4.5: a message that is no multipart has one part, itself.
    let root = if matches!(structure.root.content, Content::Multipart(_)) { vec![] } else { vec![1] };
    let mut todo = vec![(root, &structure.root)];
    while let Some((path, part)) = todo.pop() {
        let children = match &part.content {
            Content::Multipart(children) => &children[..],
            Content::Message(embedded) => match &embedded.part.content {
                Content::Multipart(children) => &children[..],
                _ => std::slice::from_ref(&embedded.part),
            },
            Content::Leaf => &[],
        };
        todo.extend(children.iter().enumerate().map(|(i, child)| {
            let mut path: Vec<u32> = path.clone();
            path.push(i as u32 + 1);
            (path, child)
        }));
        found.push((path, part));
    }
    found
}

/// The bodies of a multipart's parts as one finds them who looks for delimiter lines (RFC 2046 §5.1.1).
fn naive_parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let (mut found, mut open, mut at) = (Vec::new(), None, 0);
    let mut before_break = 0;
    for line in body.split_inclusive(|b| *b == b'\n') {
        let delimiter = line.strip_prefix(b"--").and_then(|l| l.trim_ascii_end().strip_prefix(boundary));
        let (is_next, is_last) = (delimiter == Some(b""), delimiter == Some(b"--"));
        if is_next || is_last {
            if let Some(start) = open.take() {
                found.push(&body[start..before_break.max(start)]);
            }
            if is_last {
                return found;
            }
            open = Some(at + line.len());
        }
        at += line.len();
        let text = line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l));
        before_break = at - (line.len() - text.len());
    }
    found.extend(open.map(|start| &body[start..]));
    found
}

fn slice<'a>(message: &'a [u8], range: &std::ops::Range<u64>) -> &'a [u8] {
    &message[range.start as usize..range.end as usize]
}

proptest! {
    #![proptest_config(config(300))]

    /// Promise 4: message bytes come back exactly as received.
    #[test]
    fn any_message_comes_back_byte_for_byte(
        message in any_message(), pieces in split(), step in prop_oneof![1usize..50, 50usize..100_000],
        ranges in prop::collection::vec((any::<Index>(), any::<Index>(), 1usize..80_000), 0..6),
    ) {
        let staged = ingest(&message, &pieces, &SpoolConfig::default());
        prop_assert_eq!(staged.size(), message.len() as u64);
        let mut reader = shelve(&staged);
        prop_assert_eq!(reader.size(), message.len() as u64);
        block_on(async {
            let all = read(&mut reader, 0, message.len(), step.max(message.len() / 100)).await;
            assert!(all == message, "{:?} is not {message:?}", Bytes::from(all));
            for (a, b, step) in ranges {
                let (a, b) = (a.index(message.len() + 1), b.index(message.len() + 1));
                let (a, b) = (a.min(b), a.max(b));
                assert_eq!(read(&mut reader, a, b, step.max((b - a) / 20)).await, &message[a..b]);
            }
            assert!(reader.read_at(message.len() as u64, 9).await.expect("in memory").is_empty());
            assert!(reader.read_at(u64::MAX, usize::MAX).await.expect("in memory").is_empty());
        });
    }

    /// Nor does it matter how a message came in, or whether it was spooled to a file.
    #[test]
    fn the_structure_does_not_depend_on_the_split(message in any_message(), pieces in split()) {
        let directory = tempfile::tempdir().expect("a folder");
        let spool = SpoolConfig {
            memory_limit_bytes: 64,
            directory: Some(directory.path().into()),
            message_limit_bytes: 10 << 20,
        };
        let staged = ingest(&message, &pieces, &spool);
        prop_assert_eq!(&**staged.structure(), &scan(&message));
        prop_assert_eq!(staged.read(0, message.len()).expect("what was spooled"), message);
    }

    /// What the offsets name is what one finds who takes the message apart by hand.
    #[test]
    fn offsets_name_what_a_reader_by_hand_finds(message in message()) {
        let structure = scan(&message);
        for (path, part) in parts(&structure) {
            prop_assert_eq!(structure.part(&path), Some(part), "{:?}", path);
            let (header, body) = (slice(&message, &part.header), slice(&message, &part.body));
            let empty_line = header.ends_with(b"\n\r\n") || header.ends_with(b"\n\n")
                || [&b"\r\n"[..], b"\n"].contains(&header);
            prop_assert!(empty_line || body.is_empty(), "{:?} has a body after no header's end", path);
            let Content::Multipart(children) = &part.content else { continue };
            let boundary = part.content_type.param("boundary").expect("a multipart has one");
            // An outer boundary ends what is within; here only the part's own are looked for.
            let naive = naive_parts(body, boundary);
            if nests_the_same(children, boundary) {
                continue;
            }
            prop_assert_eq!(children.len(), naive.len(), "{:?}", path);
            for (child, naive) in children.iter().zip(naive) {
                let found = &message[child.header.start as usize..child.body.end as usize];
                // Where the body is empty, the break before the delimiter is taken for the end of the header.
                let also_break = found.strip_prefix(naive).unwrap_or(found);
                let is_header = ends_in_header(child) && [&b"\r\n"[..], b"\n"].contains(&also_break);
                prop_assert!(found == naive || is_header, "{path:?}: {found:?} is {naive:?} by hand");
            }
        }
    }
}

/// Whether the last thing within is a header.
fn ends_in_header(part: &Part) -> bool {
    match &part.content {
        Content::Message(embedded) => ends_in_header(&embedded.part),
        Content::Multipart(children) => children.last().map_or(part.body.is_empty(), ends_in_header),
        Content::Leaf => part.body.is_empty(),
    }
}

/// Whether something within has the same boundary: then a delimiter is the innermost one's, and by hand it isn't.
fn nests_the_same(children: &[Part], boundary: &[u8]) -> bool {
    children.iter().any(|child| match &child.content {
        Content::Multipart(inner) => {
            let own = child.content_type.param("boundary").unwrap_or_default();
            own.starts_with(boundary) || boundary.starts_with(own) || nests_the_same(inner, boundary)
        }
        Content::Message(embedded) => nests_the_same(std::slice::from_ref(&embedded.part), boundary),
        Content::Leaf => false,
    })
}

/// The messages come to both ways of storing, and to parts within parts.
#[test]
fn messages_reach_the_corners() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(1), rng);
    let (mut decoded, mut deep, mut embedded) = (0, 0, 0);
    for _ in 0..400 {
        let message = message().new_tree(&mut runner).expect("a message").current();
        let staged = Staged::from_bytes(message);
        let manifest = Manifest::plan(&staged).expect("in memory");
        decoded += u32::from(manifest.pieces.iter().any(|p| p.form != Form::Verbatim));
        let parts = parts(staged.structure());
        deep += u32::from(parts.iter().any(|(path, _)| path.len() > 1));
        embedded += u32::from(parts.iter().any(|(_, p)| matches!(p.content, Content::Message(_))));
    }
    assert!(decoded >= 10 && deep >= 20 && embedded >= 20, "{decoded} {deep} {embedded}");
}
