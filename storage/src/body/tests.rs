//! Split and restore: byte-exact, whatever the attachments look like.

use super::*;
use crate::{BlobId, BodyReader, Result, StoreError};
use async_trait::async_trait;
use base64::Engine;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Chunks in memory.
#[derive(Default, Clone)]
struct Shelf(BTreeMap<(BlobId, u32), Bytes>);

#[async_trait]
impl ChunkSource for Shelf {
    async fn chunk(&mut self, blob: &BlobId, index: u32) -> Result<Bytes> {
        self.0.get(&(*blob, index)).cloned().ok_or_else(|| StoreError::Corrupt("no such chunk".into()))
    }
}

fn shelve(staged: &Staged) -> (Manifest, Shelf) {
    let manifest = Manifest::plan(staged).unwrap();
    let mut shelf = Shelf::default();
    for (blob, piece) in manifest.blobs() {
        let all: Vec<Bytes> = chunks(staged, &manifest, piece).map(Result::unwrap).collect();
        assert_eq!(all.len(), chunk_count(manifest.pieces[piece].stored_len) as usize);
        shelf.0.extend(all.into_iter().enumerate().map(|(i, chunk)| ((blob, i as u32), chunk)));
    }
    assert_eq!(manifest.pieces.iter().map(|p| p.len).sum::<u64>(), staged.size());
    (manifest, shelf)
}

async fn read_all(reader: &mut dyn BodyReader, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let more = reader.read_at(all.len() as u64, step).await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend_from_slice(&more);
    }
}

fn encoded(content: &[u8], line: usize, line_break: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(content);
    let lines: Vec<&str> = text.as_bytes().chunks(line).map(|c| std::str::from_utf8(c).unwrap()).collect();
    lines.join(line_break)
}

fn with_attachment(body: &str) -> Vec<u8> {
    format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
         Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n--b--\r\n"
    )
    .into_bytes()
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

#[tokio::test]
async fn an_attachment_is_stored_decoded_and_once() {
    let content = noise(300_000, 1);
    let first = Staged::from_bytes(with_attachment(&encoded(&content, 76, "\r\n")));
    let second = Staged::from_bytes(with_attachment(&encoded(&content, 60, "\r\n")));
    let (a, b) = (shelve(&first).0, shelve(&second).0);
    let decoded = |m: &Manifest| m.pieces.iter().find(|p| p.form != Form::Verbatim).unwrap().clone();
    assert_eq!(decoded(&a).blob, decoded(&b).blob, "the same file in other lines is the same blob");
    assert_eq!(decoded(&a).stored_len, 300_000);
}

#[tokio::test]
async fn what_is_not_canonical_stays_verbatim() {
    let text = encoded(&noise(9000, 2), 76, "\r\n");
    for odd in [
        text.replace("\r\n", "\n"),
        text.replacen("\r\n", " \r\n", 1),
        text.replacen("\r\n", "\r\n\r\n", 1),
        format!("{}===", text),
        text.replacen('A', "?", 1),
    ] {
        let message = with_attachment(&odd);
        let (manifest, shelf) = shelve(&Staged::from_bytes(message.clone()));
        assert!(manifest.pieces.iter().all(|p| p.form == Form::Verbatim));
        assert_eq!(read_all(&mut ManifestReader::new(manifest, shelf), 1000).await, message);
    }
}

#[test]
fn a_large_message_goes_to_a_file_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = SpoolConfig {
        memory_limit_bytes: 1000,
        directory: Some(dir.path().into()),
        message_limit_bytes: 100_000,
    };
    let message = with_attachment(&encoded(&noise(40_000, 3), 76, "\r\n"));
    let mut ingest = Ingest::new(&config);
    message.chunks(777).for_each(|c| ingest.write(c).unwrap());
    let staged = ingest.finish().unwrap();
    assert!(staged.is_spooled());
    assert_eq!(staged.read(0, message.len()).unwrap(), message);
    assert_eq!(**staged.structure(), crate::mime::scan(&message));
    assert!(staged.read(1, message.len()).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
    let mut ingest = Ingest::new(&config);
    assert_eq!(ingest.write(&vec![b'x'; 100_001]), Err(StoreError::TooLarge { limit_bytes: 100_000 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_message_comes_back_byte_for_byte(
        len in prop_oneof![0usize..20_000, 60_000usize..140_000],
        line in prop::sample::select(vec![4usize, 60, 64, 72, 76, 77, 996, 1000]),
        line_break in prop::sample::select(vec!["\r\n", "\n"]),
        tail in prop::sample::select(vec!["", "\r\n", "\r\n\r\n", "=", "x"]),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        step in 1usize..9000,
        offsets in prop::collection::vec((any::<prop::sample::Index>(), 1usize..100_000), 0..8),
    ) {
        let mut message = with_attachment(&(encoded(&noise(len, len as u64), line, line_break) + tail));
        if let Some((at, byte)) = damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        let (manifest, shelf) = shelve(&Staged::from_bytes(message.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = ManifestReader::new(manifest, shelf);
            assert_eq!(read_all(&mut reader, step.max(len / 200)).await, message);
            for (at, len) in offsets {
                let at = at.index(message.len());
                let got = reader.read_at(at as u64, len).await.unwrap();
                assert!(!got.is_empty() && got.len() <= len);
                assert_eq!(&message[at..at + got.len()], &got[..]);
            }
            assert!(reader.read_at(message.len() as u64, 10).await.unwrap().is_empty());
        });
    }
}
