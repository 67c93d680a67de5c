//! How a replica follows: a full copy, then the stream of writes. What has not come over when the master dies is lost.
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>
//!
//! The real one may continue after a short break without a new copy; to lose the copy each time is the harder case.

use crate::address::Address;
use crate::data::{Data, Entry};
use crate::peer::Peer;
use crate::resp::{Reply, Words, take_command};
use crate::server::Shared;
use gadwall_storage::Timestamp;
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

/// How often a master says something, and a replica what it has (`repl-ping-replica-period`, at its shortest).
pub const PING: Duration = Duration::from_secs(1);
/// After so long a silence the connection is made anew. `repl-timeout` is 60 s; a simulated network that lost a
/// segment never sends it again, so waiting longer finds nothing out.
const SILENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// Follows whoever is the master of this server, for ever.
pub async fn follow(shared: &Shared) {
    let mut master = shared.master.subscribe();
    loop {
        let to = master.borrow_and_update().clone();
        let copying = async {
            match &to {
                Some(to) => {
                    let ended = copy(shared, to).await;
                    tracing::debug!(at = %shared.options.address, %to, ?ended, "replication ended");
                    shared.state().link_up = false;
                    sleep(RETRY).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = master.changed() => if changed.is_err() { return },
            () = copying => {}
        }
        shared.state().link_up = false;
    }
}

async fn copy(shared: &Shared, from: &Address) -> io::Result<()> {
    shared.options.handle.running().await;
    let options = &shared.options;
    let mut peer = Peer::connect(&*shared.net, from, options.password.as_deref(), SILENCE).await?;
    let me = &options.address;
    peer.ask(&["REPLCONF", "ip-address", &me.host, "listening-port", &me.port.to_string()]).await?;
    let answer = peer.ask(&["PSYNC", "?", "-1"]).await?;
    let offset =
        answer.text().and_then(|text| text.strip_prefix("FULLRESYNC ")?.split(' ').nth(1)?.parse().ok());
    let mut copy = Copy { shared, from, loading: Some(Data::default()), offset: offset.ok_or(malformed())? };
    let mut acks = interval(PING);
    acks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = Instant::now() + SILENCE;
    loop {
        while let Some(words) = take_command(&mut peer.buffer).map_err(|_| malformed())? {
            copy.apply(&words)?;
        }
        let acked = tokio::select! {
            biased;
            read = peer.io.read_buf(&mut peer.buffer) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                silent = Instant::now() + SILENCE;
                false
            }
            _ = acks.tick() => true,
            () = sleep_until(silent) => return Err(io::ErrorKind::TimedOut.into()),
        };
        options.handle.running().await;
        if acked && copy.loading.is_none() {
            let offset = shared.state().offset.to_string();
            peer.send(&["REPLCONF", "ACK", &offset]).await?;
        }
    }
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// A stream as it is taken in.
struct Copy<'a> {
    shared: &'a Shared,
    from: &'a Address,
    /// The full copy, until it is whole: before, the server answers with its old data.
    loading: Option<Data>,
    offset: u64,
}

impl Copy<'_> {
    fn apply(&mut self, words: &Words) -> io::Result<()> {
        let mut state = self.shared.state();
        if state.master.as_ref() != Some(self.from) {
            return Err(io::Error::other("another master meanwhile"));
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        if let Some(loading) = &mut self.loading {
            match words[..] {
                [b"LOADED"] => {
                    state.data = self.loading.take().unwrap_or_default();
                    state.offset = self.offset;
                    state.link_up = true;
                    // Those who copied from here have what is gone.
                    state.end(|_, client| client.replica.is_some());
                    return Ok(());
                }
                [b"KEY", ..] => return change(loading, &words),
                _ => return Err(malformed()),
            }
        }
        match words[..] {
            [b"KEY", ..] => change(&mut state.data, &words)?,
            // PUBLISH is replicated: subscribers of a replica hear what is said on its master.
            [b"PUBLISH", channel, payload] => {
                let options = &self.shared.options;
                state.publish(channel, payload, &options.handle, &*options.entropy);
            }
            [b"PING"] => {}
            _ => return Err(malformed()),
        }
        state.propagate(&words, Duration::ZERO);
        Ok(())
    }
}

/// Makes a key as the master says it is.
fn change(data: &mut Data, words: &[&[u8]]) -> io::Result<()> {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<i64>().ok());
    let key = |db: &[u8], key: &[u8]| number(db).map(|db| (db, key.to_vec())).ok_or(malformed());
    match *words {
        [_, db, name] => {
            data.delete(&key(db, name)?);
        }
        [_, db, name, value] => data.set(key(db, name)?, Entry { value: value.to_vec(), expires: None }),
        [_, db, name, value, expires] => {
            let expires = Some(Timestamp(number(expires).ok_or(malformed())?));
            data.set(key(db, name)?, Entry { value: value.to_vec(), expires });
        }
        _ => return Err(malformed()),
    }
    Ok(())
}

/// The answer to PSYNC and all that follows it at once.
pub fn full_copy(run_id: &str, offset: u64, snapshot: Vec<u8>) -> Vec<u8> {
    let mut out = Reply::Simple(format!("FULLRESYNC {run_id} {offset}")).encode();
    out.extend(snapshot);
    out.extend(crate::resp::command(&["LOADED"]));
    out
}
