//! Random choices that repeat for their seed.

use gadwall_storage::{Entropy, SeededEntropy};

pub struct Dice(SeededEntropy);

impl Dice {
    /// Dice of their own for every list of numbers.
    pub fn of(seeds: &[u64]) -> Self {
        let bytes: Vec<u8> = seeds.iter().flat_map(|seed| seed.to_le_bytes()).collect();
        let digest = blake3::hash(&bytes);
        Self(SeededEntropy::new(u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap())))
    }

    pub fn next(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes(8).try_into().unwrap())
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }
}
