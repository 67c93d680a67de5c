//! What a running server knows: data, role, clients, channels. Changed under one lock, one command at a time, as the
//! real one's single thread does.

use crate::address::Address;
use crate::data::{Data, Entry, Key};
use crate::handle::Handle;
use crate::resp::{Reply, Words, command};
use gadwall_storage::{Entropy, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Duration, Instant};

pub type ClientId = u64;

/// Messages that wait for a slow client; then it is dropped, as `client-output-buffer-limit` has it.
pub const QUEUE: usize = 1 << 14;

/// Bytes for a client, not to leave before their time.
pub struct Outgoing {
    pub due: Option<Instant>,
    pub bytes: Vec<u8>,
}

pub struct State {
    pub data: Data,
    /// Whom this server follows; nobody: then it is a master.
    pub master: Option<Address>,
    /// Whether all of the master's data has been copied, and the connection lives.
    pub link_up: bool,
    /// Bytes of the replication stream so far.
    pub offset: u64,
    /// Whether there is a stream: it begins with the first replica, or with being one. Until then the offset stays 0,
    /// as Debian's 7.0.15 answers ROLE.
    pub backlog: bool,
    pub run_id: String,
    clients: BTreeMap<ClientId, Client>,
    next_client: ClientId,
    channels: BTreeMap<Vec<u8>, BTreeSet<ClientId>>,
}

/// A connection.
pub struct Client {
    out: mpsc::Sender<Outgoing>,
    /// Told when it has to end.
    end: Arc<Notify>,
    /// A message that lets another go first.
    held: Option<Vec<u8>>,
    pub channels: BTreeSet<Vec<u8>>,
    pub replica: Option<Replica>,
}

/// What is known of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    pub address: Address,
    /// How much of the stream it says it has.
    pub offset: u64,
    pub heard: Instant,
}

impl State {
    pub fn new(run_id: String, master: Option<Address>) -> Self {
        State {
            data: Data::default(),
            link_up: false,
            offset: 0,
            backlog: master.is_some(),
            master,
            run_id,
            clients: BTreeMap::new(),
            next_client: 1,
            channels: BTreeMap::new(),
        }
    }

    pub fn join(&mut self, out: mpsc::Sender<Outgoing>, end: Arc<Notify>) -> ClientId {
        let id = self.next_client;
        self.next_client += 1;
        let client = Client { out, end, held: None, channels: BTreeSet::new(), replica: None };
        self.clients.insert(id, client);
        id
    }

    pub fn leave(&mut self, id: ClientId) {
        for channel in self.clients.remove(&id).map(|client| client.channels).unwrap_or_default() {
            self.leave_channel(id, &channel);
        }
    }

    pub fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    pub fn is_subscriber(&self, id: ClientId) -> bool {
        self.clients.get(&id).is_some_and(|client| !client.channels.is_empty())
    }

    pub fn send(&mut self, id: ClientId, due: Option<Instant>, bytes: Vec<u8>) {
        if let Some(client) = self.clients.get(&id)
            && client.out.try_send(Outgoing { due, bytes }).is_err()
        {
            client.end.notify_one();
        }
    }

    /// Ends the connections that `which` picks.
    pub fn end(&mut self, which: impl Fn(ClientId, &Client) -> bool) -> usize {
        let picked = self.clients.iter().filter(|(id, client)| which(**id, client));
        picked.map(|(_, client)| client.end.notify_one()).count()
    }

    pub fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.clients.values().filter_map(|client| client.replica.as_ref())
    }

    /// Replicas that were heard of within `lag`: min-replicas-to-write counts them.
    pub fn good_replicas(&self, now: Instant, lag: Duration) -> usize {
        self.replicas().filter(|replica| now - replica.heard <= lag).count()
    }

    pub fn subscribe(&mut self, id: ClientId, channel: &[u8]) -> i64 {
        self.channels.entry(channel.to_vec()).or_default().insert(id);
        let Some(client) = self.clients.get_mut(&id) else { return 0 };
        client.channels.insert(channel.to_vec());
        client.channels.len() as i64
    }

    fn leave_channel(&mut self, id: ClientId, channel: &[u8]) {
        if let Some(ids) = self.channels.get_mut(channel) {
            ids.remove(&id);
            if ids.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    /// Gives a message to those who listen here; how many they are, whatever then reaches them.
    pub fn publish(&mut self, channel: &[u8], payload: &[u8], handle: &Handle, entropy: &dyn Entropy) -> i64 {
        let ids: Vec<ClientId> = self.channels.get(channel).into_iter().flatten().copied().collect();
        let message =
            Reply::Array(vec![Reply::bulk("message"), Reply::bulk(channel), Reply::bulk(payload)]).encode();
        for id in &ids {
            let Some(client) = self.clients.get_mut(id) else { continue };
            for bytes in handle.pass(entropy, &mut client.held, message.clone()) {
                self.send(*id, None, bytes);
            }
        }
        ids.len() as i64
    }

    /// Adds to the stream that replicas copy: commands that have the effect of what was done.
    pub fn propagate(&mut self, words: &[&[u8]], lag: Duration) {
        if !self.backlog {
            return;
        }
        let bytes = command(words);
        self.offset += bytes.len() as u64;
        let due = (!lag.is_zero()).then(|| Instant::now() + lag);
        let replicas: Vec<ClientId> =
            self.clients.iter().filter(|(_, c)| c.replica.is_some()).map(|(id, _)| *id).collect();
        for id in replicas {
            self.send(id, due, bytes.clone());
        }
    }

    /// Tells the replicas how a key now stands.
    pub fn propagate_key(&mut self, key: &Key, now: Timestamp, lag: Duration) {
        let words = key_command(key, self.data.get(key, now));
        self.propagate(&words.iter().map(Vec::as_slice).collect::<Vec<_>>(), lag);
    }

    /// Removes what has expired. Only a master does: replicas wait to be told.
    pub fn expire(&mut self, now: Timestamp, lag: Duration) {
        if self.master.is_none() {
            for key in self.data.expire(now) {
                self.propagate_key(&key, now, lag);
            }
        }
    }

    /// The whole of the data, as commands.
    pub fn snapshot(&self) -> Vec<u8> {
        self.data.iter().flat_map(|(key, entry)| command(&key_command(key, Some(entry)))).collect()
    }
}

/// `KEY db key [value [expires]]`: a command of this simulation's stream, which carries the database in each.
fn key_command((db, key): &Key, entry: Option<&Entry>) -> Words {
    let mut words = vec![b"KEY".to_vec(), db.to_string().into_bytes(), key.clone()];
    if let Some(entry) = entry {
        words.push(entry.value.clone());
        words.extend(entry.expires.map(|at| at.millis().to_string().into_bytes()));
    }
    words
}
