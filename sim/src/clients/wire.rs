//! A connection as clients use it: lines and counted bytes, each within a deadline, because a segment that is lost on
//! this network never comes again.

use gadwall::net::BoxIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How much is read or written at a time.
const PIECE: usize = 32 << 10;

pub struct Wire {
    io: BoxIo,
    read: Vec<u8>,
    /// How much of `read` was taken.
    taken: usize,
    patience: Duration,
}

impl Wire {
    pub fn new(io: BoxIo, patience: Duration) -> Self {
        Self { io, read: Vec::new(), taken: 0, patience }
    }

    /// The next line, without its end.
    pub async fn line(&mut self) -> io::Result<Vec<u8>> {
        self.line_within(self.patience).await
    }

    /// As [`Wire::line`], with a patience of its own. May be asked again after it timed out: nothing is lost.
    pub async fn line_within(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        let mut looked_at = 0;
        loop {
            let unread = &self.read[self.taken..];
            if let Some(end) = unread[looked_at..].iter().position(|b| *b == b'\n') {
                let end = looked_at + end;
                let line = unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]).to_vec();
                self.taken += end + 1;
                return Ok(line);
            }
            looked_at = unread.len();
            self.fill(patience).await?;
        }
    }

    /// Exactly so many bytes.
    pub async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() - self.taken < count {
            self.fill(self.patience).await?;
        }
        let bytes = self.read[self.taken..self.taken + count].to_vec();
        self.taken += count;
        Ok(bytes)
    }

    /// What comes until the other side ends.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill(self.patience).await {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(self.read.split_off(self.taken));
                }
                other => other?,
            }
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            timeout(self.patience, self.io.write_all(piece)).await.map_err(|_| silence())??;
        }
        timeout(self.patience, self.io.flush()).await.map_err(|_| silence())?
    }

    /// Says goodbye to the socket; what comes of it is of no interest.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.io.shutdown()).await;
    }

    async fn fill(&mut self, patience: Duration) -> io::Result<()> {
        if self.taken > 0 && (self.taken == self.read.len() || self.taken > PIECE) {
            self.read.drain(..self.taken);
            self.taken = 0;
        }
        let held = self.read.len();
        self.read.reserve(PIECE);
        let reading = self.io.read_buf(&mut self.read);
        match timeout(patience, reading).await.map_err(|_| silence())?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {
                debug_assert!(self.read.len() > held);
                Ok(())
            }
        }
    }
}

fn silence() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "nothing came in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_that_comes_in_pieces_is_whole_even_after_a_timeout() {
        let (mut theirs, ours) = tokio::io::duplex(1024);
        let mut wire = Wire::new(Box::new(ours), Duration::from_secs(1));
        theirs.write_all(b"one\r\ntw").await.unwrap();
        assert_eq!(wire.line().await.unwrap(), b"one");
        assert_eq!(wire.line().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        theirs.write_all(b"o\r\nabcrest").await.unwrap();
        drop(theirs);
        assert_eq!(wire.line().await.unwrap(), b"two");
        assert_eq!(wire.exactly(3).await.unwrap(), b"abc");
        assert_eq!(wire.rest().await.unwrap(), b"rest");
    }
}
