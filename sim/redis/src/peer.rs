//! A connection to another server: asks, and waits only so long.

use crate::address::Address;
use crate::resp::{Reply, command, take_reply};
use gadwall::net::{BoxIo, Net};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub struct Peer {
    pub io: BoxIo,
    pub buffer: Vec<u8>,
    patience: Duration,
}

impl Peer {
    /// Connects, and logs in where there is a password.
    pub async fn connect(
        net: &dyn Net,
        to: &Address,
        password: Option<&str>,
        patience: Duration,
    ) -> io::Result<Self> {
        let io = timeout(patience, net.dial(&to.host, to.port)).await??;
        let mut peer = Peer { io, buffer: Vec::new(), patience };
        if let Some(password) = password {
            peer.ask(&["AUTH", password]).await?;
        }
        Ok(peer)
    }

    pub async fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<()> {
        timeout(self.patience, self.io.write_all(&command(words))).await?
    }

    /// The next answer, which may be an error as a server gives it.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        let reading = async {
            loop {
                if let Some(reply) = take_reply(&mut self.buffer).map_err(|_| io::ErrorKind::InvalidData)? {
                    return Ok(reply);
                }
                if self.io.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        timeout(self.patience, reading).await?
    }

    /// Asks, and takes an error for a failure.
    pub async fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Reply> {
        self.send(words).await?;
        match self.reply().await? {
            Reply::Error(text) => Err(io::Error::other(text)),
            reply => Ok(reply),
        }
    }
}
