//! COMPRESS=DEFLATE (RFC 4978): both directions of a stream through raw DEFLATE (RFC 1951).

use crate::net::BoxIo;
use async_compression::Level;
use async_compression::tokio::bufread::DeflateDecoder;
use async_compression::tokio::write::DeflateEncoder;
use tokio::io::{BufReader, join, split};

/// The stream as the session sees it. What is written leaves with every flush, and not before (RFC 4978 §4).
pub fn deflate(io: BoxIo) -> BoxIo {
    let (reader, writer) = split(io);
    // Mail compresses well at once and hardly better with more work.
    Box::new(join(
        DeflateDecoder::new(BufReader::new(reader)),
        DeflateEncoder::with_quality(writer, Level::Fastest),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// What is received is at hand whole though nothing more comes: a line that is a thousand times what it was compressed to, and
    /// more than anybody's buffer.
    #[tokio::test]
    async fn a_little_that_becomes_much_is_not_held_back() {
        for len in [1 << 10, 30 << 10, 32 << 10, 33 << 10, 64 << 10, 1 << 20] {
            let (a, b) = duplex(1 << 16);
            let (mut a, mut b) = (deflate(Box::new(a)), deflate(Box::new(b)));
            let line = "x".repeat(len);
            a.write_all(line.as_bytes()).await.unwrap();
            a.flush().await.unwrap();
            let mut received = Vec::new();
            while received.len() < len {
                let mut piece = [0; 16 << 10];
                let read = tokio::time::timeout(std::time::Duration::from_secs(5), b.read(&mut piece));
                let n = read.await.unwrap_or_else(|_| panic!("{} of {len}", received.len())).unwrap();
                received.extend_from_slice(&piece[..n]);
            }
        }
    }

    /// Whatever there was to compress and however much of it at a time, all of it has left with the flush.
    #[tokio::test]
    async fn nothing_stays_behind_a_flush() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let (a, b) = duplex(1 << 20);
        let (mut a, mut b) = (deflate(Box::new(a)), deflate(Box::new(b)));
        for round in 0..100 {
            // Base64 of noise, and words that come again: what mail is made of.
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let noise = 1 + random() % 64;
            let sent: Vec<u8> = (0..random() % 100_000).map(|_| letters[random() % noise]).collect();
            for piece in sent.chunks(1 + random() % 70_000) {
                a.write_all(piece).await.unwrap();
            }
            a.flush().await.unwrap();
            let mut received = vec![0; sent.len()];
            let read = tokio::time::timeout(std::time::Duration::from_secs(10), b.read_exact(&mut received));
            read.await
                .unwrap_or_else(|_| panic!("round {round}: {} bytes did not come", sent.len()))
                .unwrap();
            assert!(received == sent, "round {round}");
        }
    }

    #[tokio::test]
    async fn each_flush_arrives_by_itself() {
        let (a, b) = duplex(1 << 16);
        let (mut a, mut b) = (deflate(Box::new(a)), deflate(Box::new(b)));
        for line in ["a NOOP\r\n".to_owned(), "x".repeat(100_000), "b NOOP\r\n".into()] {
            let send = async {
                a.write_all(line.as_bytes()).await.unwrap();
                a.flush().await.unwrap();
            };
            let receive = async {
                let mut received = vec![0; line.len()];
                b.read_exact(&mut received).await.unwrap();
                assert_eq!(received, line.as_bytes());
            };
            tokio::join!(send, receive);
        }
        a.shutdown().await.unwrap();
        assert_eq!(b.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
