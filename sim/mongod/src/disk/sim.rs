//! A disk in memory that outlives its host, and can do what disks do.

use super::Disk;
use async_trait::async_trait;
use gadwall_storage::Entropy;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What can go wrong, to be changed at run time. All off by default.
#[derive(Debug, Clone, Default)]
pub struct DiskFaults {
    /// Each call takes a random time up to this.
    pub latency: Duration,
    /// `EIO`, per million writes.
    pub write_errors: u32,
    /// `EIO`, per million syncs.
    pub sync_errors: u32,
    /// After a failed sync the unsynced bytes are gone from the cache, too, as Linux may do ("fsyncgate").
    pub failed_sync_loses: bool,
    /// No space beyond so many bytes; what still fits of a write is written.
    pub capacity: Option<usize>,
}

/// What a power cut leaves of unsynced bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerCut {
    /// Nothing.
    Clean,
    /// The oldest of them, up to a random byte.
    Torn,
    /// The same, and then garbage in the place of others.
    Garbage,
}

/// A handle of one life of the host: all lives of a host share the files.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    life: u64,
}

struct State {
    files: BTreeMap<String, File>,
    faults: DiskFaults,
    entropy: Arc<dyn Entropy>,
    life: u64,
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    /// Written, not synced, oldest first.
    pending: Vec<Change>,
    /// What a reader sees: the durable bytes and all changes after.
    cached: Vec<u8>,
}

#[derive(Debug)]
enum Change {
    Append(Vec<u8>),
    Truncate(usize),
}

impl SimDisk {
    /// An empty disk.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let state = State { files: BTreeMap::new(), faults: DiskFaults::default(), entropy, life: 0 };
        SimDisk { state: Arc::new(Mutex::new(state)), life: 0 }
    }

    pub fn set_faults(&self, faults: DiskFaults) {
        self.state().faults = faults;
    }

    /// The disk for the host's next life. Handles of earlier lives fail from now on: a dead process writes nothing.
    pub fn reboot(&self) -> SimDisk {
        let mut state = self.state();
        state.life += 1;
        SimDisk { state: self.state.clone(), life: state.life }
    }

    /// The power fails, in the middle of whatever is being done.
    pub fn power_cut(&self, kind: PowerCut) {
        let mut state = self.state();
        state.life += 1;
        let entropy = state.entropy.clone();
        for file in state.files.values_mut() {
            file.lose(kind, &*entropy);
        }
    }

    /// Flips a bit of what is durable, at a random place: a disk that rots.
    pub fn rot(&self, file: &str) {
        let mut state = self.state();
        let entropy = state.entropy.clone();
        let Some(file) = state.files.get_mut(file).filter(|file| !file.durable.is_empty()) else { return };
        let at = below(&*entropy, file.durable.len());
        file.durable[at] ^= 1 << below(&*entropy, 8);
        file.rebuild();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// The state, if this handle's host still lives.
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("the host of this handle has died"))
        }
    }

    async fn wait(&self) {
        let latency = {
            let state = self.state();
            let micros = usize::try_from(state.faults.latency.as_micros()).unwrap_or(usize::MAX);
            if micros == 0 {
                Duration::ZERO
            } else {
                Duration::from_micros(below(&*state.entropy, micros) as u64)
            }
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }

    fn change(&self, file: &str, change: Change) -> io::Result<()> {
        let mut state = self.alive()?;
        state.fail(state.faults.write_errors)?;
        let room = state.room();
        let file = state.files.entry(file.to_owned()).or_default();
        match change {
            Change::Append(mut bytes) if bytes.len() > room => {
                // write(2): what fits is written, and then there is no space left.
                bytes.truncate(room);
                file.apply(Change::Append(bytes));
                Err(io::ErrorKind::StorageFull.into())
            }
            change => {
                file.apply(change);
                Ok(())
            }
        }
    }
}

impl State {
    fn fail(&self, per_million: u32) -> io::Result<()> {
        let fails = per_million > 0 && below(&*self.entropy, 1_000_000) < per_million as usize;
        // EIO.
        if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }

    fn room(&self) -> usize {
        let used: usize = self.files.values().map(|file| file.cached.len()).sum();
        self.faults.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used))
    }
}

impl File {
    fn apply(&mut self, change: Change) {
        change.on(&mut self.cached);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.on(&mut self.durable);
        }
    }

    fn rebuild(&mut self) {
        self.cached.clone_from(&self.durable);
        self.pending.iter().for_each(|change| change.on(&mut self.cached));
    }

    fn forget_unsynced(&mut self) {
        self.pending.clear();
        self.cached.clone_from(&self.durable);
    }

    fn lose(&mut self, kind: PowerCut, entropy: &dyn Entropy) {
        let kept = if kind == PowerCut::Clean { 0 } else { below(entropy, self.pending.len() + 1) };
        let mut rest = self.pending.drain(..);
        rest.by_ref().take(kept).for_each(|change| change.on(&mut self.durable));
        if let (PowerCut::Torn | PowerCut::Garbage, Some(Change::Append(bytes))) = (kind, rest.next()) {
            let torn = below(entropy, bytes.len() + 1);
            self.durable.extend(&bytes[..torn]);
            if kind == PowerCut::Garbage {
                let mut garbage = vec![0; bytes.len() - torn];
                entropy.fill(&mut garbage);
                self.durable.extend(garbage);
            }
        }
        drop(rest);
        self.cached.clone_from(&self.durable);
    }
}

impl Change {
    fn on(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Append(more) => bytes.extend(more),
            Change::Truncate(len) => bytes.truncate(*len),
        }
    }
}

#[async_trait]
impl Disk for SimDisk {
    async fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.wait().await;
        Ok(self.alive()?.files.get(file).map(|file| file.cached.clone()).unwrap_or_default())
    }

    async fn append(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.wait().await;
        self.change(file, Change::Append(bytes.to_vec()))
    }

    async fn sync(&self, file: &str) -> io::Result<()> {
        self.wait().await;
        let mut state = self.alive()?;
        let failed = state.fail(state.faults.sync_errors);
        let loses = state.faults.failed_sync_loses;
        let file = state.files.entry(file.to_owned()).or_default();
        match failed {
            Ok(()) => file.sync(),
            Err(_) if loses => file.forget_unsynced(),
            Err(_) => {}
        }
        failed
    }

    async fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        self.wait().await;
        self.change(file, Change::Truncate(usize::try_from(len).unwrap_or(usize::MAX)))
    }

    /// The new content takes the old one's place at some moment before the answer.
    async fn replace(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.wait().await;
        {
            let mut state = self.alive()?;
            state.fail(state.faults.write_errors)?;
            if bytes.len() > state.room() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let new = File { durable: bytes.to_vec(), pending: vec![], cached: bytes.to_vec() };
            state.files.insert(file.to_owned(), new);
        }
        self.wait().await;
        self.alive().map(drop)
    }
}

/// A number below `limit`, which is not 0.
fn below(entropy: &dyn Entropy, limit: usize) -> usize {
    let number = u64::from_le_bytes(entropy.bytes()) % limit.max(1) as u64;
    usize::try_from(number).expect("it is below a usize")
}
