//! The two directions of a connection: received bytes on their way into the decoder, responses on their way out.

use super::decode::{Decoder, Limits as DecoderLimits};
use super::encode::{Status, Untagged};
use super::types::{Tag, Text};
use crate::Limits;
use crate::net::BoxIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How much is read at a time.
const READ: usize = 16 << 10;
/// Responses beyond this are written before more are made.
const HIGH_WATER: usize = 64 << 10;
/// Literals of one command before login, in bytes: a login and a password.
const STRANGERS_LITERALS: usize = 8 << 10;

pub struct Wire {
    pub io: BoxIo,
    pub decoder: Decoder,
    out: Vec<u8>,
    write_stall: Duration,
}

impl Wire {
    pub fn new(io: BoxIo, limits: &Limits) -> Self {
        let decoder = Decoder::new(DecoderLimits {
            line_bytes: limits.line_bytes,
            literal_bytes: limits.literal_bytes.min(STRANGERS_LITERALS),
            swallow_bytes: limits.message_bytes.saturating_mul(2).max(limits.literal_bytes as u64),
        });
        Self { io, decoder, out: Vec::new(), write_stall: limits.write_stall }
    }

    /// Who is there now is a stranger again.
    pub fn start_over(&mut self, limits: &Limits) {
        self.decoder.allow_literals(limits.literal_bytes.min(STRANGERS_LITERALS));
        self.decoder.set_text(Text::Ascii);
    }

    /// Where responses are written to. They leave with the next [`Wire::flush`] or [`Wire::relieve`].
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub fn untagged(&mut self, response: &Untagged) {
        response.write(self.decoder.text(), &mut self.out);
    }

    pub fn status(&mut self, tag: Option<&Tag>, status: &Status) {
        status.write(tag, &mut self.out);
    }

    /// `+ text`
    pub fn continuation(&mut self, text: &str) {
        self.out.extend_from_slice(b"+ ");
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Writes what there is once it is much: so a large answer never stands in memory whole.
    pub async fn relieve(&mut self) -> io::Result<()> {
        if self.out.len() >= HIGH_WATER { self.flush().await } else { Ok(()) }
    }

    /// Writes everything said so far. A peer that takes nothing for too long is an error.
    pub async fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.out.len() {
            let write = timeout(self.write_stall, self.io.write(&self.out[written..]));
            match write.await.map_err(|_| io::ErrorKind::TimedOut)?? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => written += n,
            }
        }
        if written > 0 {
            self.out.clear();
            // What a large answer needed is not kept by an idle connection.
            self.out.shrink_to(HIGH_WATER);
            timeout(self.write_stall, self.io.flush()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        Ok(())
    }

    /// Writes what is taken at once; the rest leaves with the next [`Wire::flush`].
    pub async fn flush_now(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.out.len() {
            // Polled once: a write that is not done has written nothing.
            match timeout(Duration::ZERO, self.io.write(&self.out[written..])).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(n)) => written += n,
                Ok(Err(e)) => return Err(e),
                Err(_) => break,
            }
        }
        self.out.drain(..written);
        timeout(Duration::ZERO, self.io.flush()).await.unwrap_or(Ok(()))
    }

    /// Ends the stream in order: over TLS the client learns that nothing was cut off.
    pub async fn close(&mut self) -> io::Result<()> {
        timeout(self.write_stall, self.io.shutdown()).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Reads more into the decoder. Cancel safe.
    pub async fn fill(&mut self) -> io::Result<()> {
        let buffer = self.decoder.buffer();
        buffer.reserve(READ);
        match self.io.read_buf(buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
