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
