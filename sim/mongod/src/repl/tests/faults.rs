//! What goes wrong in a run: a random subset, at random rates.

use gadwall_storage::{Entropy, SeededEntropy};

/// Dice.
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(SeededEntropy::new(seed))
    }

    pub fn below(&self, limit: u64) -> u64 {
        u64::from_le_bytes((&self.0 as &dyn Entropy).bytes()) % limit.max(1)
    }

    pub fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// Per mille of messages, or per mille in each tenth of a second.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub members: usize,
    pub loss: u64,
    pub latency_ms: u64,
    pub sync_ms: u64,
    pub crash: u64,
    pub power_cut: u64,
    pub blackout: u64,
    pub partition: u64,
    pub one_way: u64,
    pub step_down: u64,
    /// Of votes: the power fails just after they are written.
    pub strike_vote: u64,
    /// Of new primaries: the power fails just after they have begun.
    pub strike_primary: u64,
    /// Members run for election at nearly the same time.
    pub close_races: bool,
    pub skew: u64,
    /// A fetch brings few entries at a time: an old term's entry can be on a majority without the new term's first.
    pub small_batches: bool,
    /// Writes are given in bursts to a primary.
    pub writes: u64,
}

impl Faults {
    pub fn draw(dice: &Dice) -> Self {
        let some = |per_mille: u64| if dice.chance(500) { dice.below(per_mille) + 1 } else { 0 };
        Faults {
            members: if dice.chance(250) { 5 } else { 3 },
            loss: some(100),
            latency_ms: 1 + [3, 20, 150][dice.below(3) as usize],
            sync_ms: 1 + [2, 20, 400][dice.below(3) as usize],
            crash: some(20),
            power_cut: some(20),
            blackout: some(12),
            partition: some(30),
            one_way: some(30),
            step_down: some(10),
            strike_vote: some(400),
            strike_primary: some(500),
            close_races: dice.chance(500),
            skew: some(100),
            small_batches: dice.chance(500),
            writes: 50 + dice.below(600),
        }
    }
}
