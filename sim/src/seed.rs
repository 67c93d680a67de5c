//! Randomness of a run: streams that are drawn from its seed, one for each purpose, so that one more draw here does
//! not change everything there.

use gadwall_storage::SeededEntropy;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The stream of that name.
pub fn stream(seed: u64, name: &str) -> StdRng {
    StdRng::from_seed(*digest(seed, name).as_bytes())
}

/// The entropy of what has that name.
pub fn entropy(seed: u64, name: &str) -> SeededEntropy {
    let digest = digest(seed, name);
    let first = digest.as_bytes().first_chunk().expect("a digest has 32 bytes");
    SeededEntropy::new(u64::from_le_bytes(*first))
}

fn digest(seed: u64, name: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.finalize()
}
