//! The clocks of simulated hosts: virtual time, and how far each host's is off.

use gadwall_storage::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// When every simulation begins: 2026-01-01T00:00:00Z.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// A host's clock. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct HostClock {
    off_ms: Arc<AtomicI64>,
}

impl HostClock {
    /// What a clock that is right shows after so much of the simulation.
    pub fn at(elapsed: Duration) -> Timestamp {
        let elapsed = i64::try_from(elapsed.as_millis()).expect("a run lasts minutes");
        Timestamp(EPOCH_MS + elapsed)
    }

    /// Sets how far it is off from now on, in milliseconds.
    pub fn set_off(&self, ms: i64) {
        self.off_ms.store(ms, Ordering::Relaxed);
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        let right = HostClock::at(turmoil::sim_elapsed().unwrap_or_default());
        Timestamp(right.millis() + self.off_ms.load(Ordering::Relaxed))
    }
}
