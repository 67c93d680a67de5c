//! Randomness of a run: streams that are drawn from its seed, one for each purpose, so that one more draw here does
//! not change everything there.

use gadwall_storage::Entropy;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Mutex;

/// The stream of that name.
pub fn stream(seed: u64, name: &str) -> StdRng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(name.as_bytes());
    StdRng::from_seed(*hasher.finalize().as_bytes())
}

/// A host's entropy.
pub struct HostEntropy(Mutex<StdRng>);

impl HostEntropy {
    pub fn new(seed: u64, host: &str) -> Self {
        HostEntropy(Mutex::new(stream(seed, host)))
    }
}

impl Entropy for HostEntropy {
    fn fill(&self, buf: &mut [u8]) {
        self.0.lock().expect("no holder of the lock panics").fill_bytes(buf);
    }
}
