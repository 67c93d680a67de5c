//! The hand that makes a server misbehave while it runs. It outlives the server's process.

use gadwall_storage::Entropy;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often of a thousand times.
pub type PerMille = u16;

/// What goes wrong with messages on their way to subscribers. The real one does none of it on a healthy connection,
/// but promises nothing ("at-most-once", <https://redis.io/docs/latest/develop/pubsub/>); hints have to bear all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PubSubFaults {
    pub lose: PerMille,
    pub double: PerMille,
    /// The message lets the next one to the same subscriber go first.
    pub reorder: PerMille,
    /// Nothing comes, over a connection that stays open.
    pub silent: bool,
}

/// Steers one server. Clones steer the same one.
#[derive(Clone, Default)]
pub struct Handle(Arc<Inner>);

#[derive(Default)]
struct Inner {
    settings: Mutex<Settings>,
    stopped: watch::Sender<bool>,
    dropped: watch::Sender<u64>,
}

#[derive(Default)]
struct Settings {
    faults: PubSubFaults,
    lag: Duration,
    refused: Vec<String>,
    lost: u64,
}

impl Handle {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_faults(&self, faults: PubSubFaults) {
        self.settings().faults = faults;
    }

    /// How long what is written waits before it leaves for the replicas: lost, if the process ends first.
    pub fn set_replication_lag(&self, lag: Duration) {
        self.settings().lag = lag;
    }

    /// Closes the connections of all subscribers.
    pub fn drop_subscribers(&self) {
        self.0.dropped.send_modify(|times| *times += 1);
    }

    /// SIGSTOP: connections stay open, and nothing is said.
    pub fn stop(&self) {
        self.0.stopped.send_replace(true);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.0.stopped.send_replace(false);
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.set_faults(PubSubFaults::default());
        self.set_replication_lag(Duration::ZERO);
        self.resume();
    }

    /// What was asked and is not simulated. A run in which this is not empty proves nothing.
    pub fn refused(&self) -> Vec<String> {
        self.settings().refused.clone()
    }

    /// How many messages have not reached their subscriber by the faults set here.
    pub fn lost(&self) -> u64 {
        self.settings().lost
    }

    pub(crate) fn refuse(&self, what: String) {
        tracing::error!(what, "not simulated");
        self.settings().refused.push(what);
    }

    pub(crate) fn lag(&self) -> Duration {
        self.settings().lag
    }

    pub(crate) fn dropped(&self) -> watch::Receiver<u64> {
        self.0.dropped.subscribe()
    }

    /// Waits while the process is stopped.
    pub(crate) async fn running(&self) {
        let mut stopped = self.0.stopped.subscribe();
        // The sender lives in self.
        let _ = stopped.wait_for(|stopped| !stopped).await;
    }

    /// The messages that leave for a subscriber when this one is sent to it. `held` is the one that lets others go first.
    pub(crate) fn pass(
        &self,
        entropy: &dyn Entropy,
        held: &mut Option<Vec<u8>>,
        message: Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let faults = self.settings().faults;
        let chance = |rate: PerMille| rate > 0 && u32::from_be_bytes(entropy.bytes()) % 1000 < rate.into();
        if faults.silent || chance(faults.lose) {
            self.settings().lost += 1;
            return Vec::new();
        }
        let mut out = vec![message];
        if chance(faults.double) {
            out.push(out[0].clone());
        }
        match held.take() {
            Some(earlier) => out.push(earlier),
            None if chance(faults.reorder) => *held = out.pop(),
            None => {}
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::SeededEntropy;

    fn passed(faults: PubSubFaults) -> Vec<u8> {
        let (handle, entropy, mut held) = (Handle::default(), SeededEntropy::new(1), None);
        handle.set_faults(faults);
        (0..4).flat_map(|n| handle.pass(&entropy, &mut held, vec![n])).flatten().collect()
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let none = PubSubFaults::default();
        assert_eq!(passed(none), [0, 1, 2, 3]);
        assert!(passed(PubSubFaults { lose: 1000, ..none }).is_empty());
        assert!(passed(PubSubFaults { silent: true, ..none }).is_empty());
        assert_eq!(passed(PubSubFaults { double: 1000, ..none }), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(passed(PubSubFaults { reorder: 1000, ..none }), [1, 0, 3, 2]);
    }
}
