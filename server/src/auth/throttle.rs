//! Back-off for those who guess: failures are counted by client address and by account, and forgotten after a
//! quarter of an hour of peace. All nodes of a cluster count together.

use crate::net::client_network;
use gadwall_storage::{Count, Counters, Window};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Failures that cost nothing: people mistype.
const FREE: u64 = 10;
/// Longest wait for an address.
const ADDRESS_WAIT: Duration = Duration::from_secs(300);
/// Longest wait for an account: short, or a stranger could lock its owner out.
const ACCOUNT_WAIT: Duration = Duration::from_secs(15);
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// What failures are counted under, and the longest wait they cause.
struct Key {
    name: String,
    longest: Duration,
}

/// Counts failed logins.
pub(super) struct Throttle(Arc<dyn Counters>);

impl Throttle {
    pub fn new(counters: Arc<dyn Counters>) -> Self {
        Self(counters)
    }

    /// How long this address, or anybody for this account, has to wait before the next try.
    pub async fn wait(&self, peer: IpAddr, login: &str) -> Option<Duration> {
        let mut longest = None;
        for key in keys(peer, login) {
            let left = self.0.count(&key.name).await.and_then(|count| left(count, key.longest));
            longest = longest.max(left);
        }
        longest
    }

    /// Notes a failure.
    pub async fn failed(&self, peer: IpAddr, login: &str) {
        for key in keys(peer, login) {
            self.0.add(&key.name, Window::AfterLatest(FORGET_AFTER)).await;
        }
    }

    /// Notes a success: the account's owner is there. The address may still be guessing at others.
    pub async fn succeeded(&self, login: &str) {
        self.0.forget(&account(login)).await;
    }
}

/// An address on this machine is nobody in particular: only the account counts then.
fn keys(peer: IpAddr, login: &str) -> Vec<Key> {
    let mut keys = vec![Key { name: account(login), longest: ACCOUNT_WAIT }];
    if !peer.to_canonical().is_loopback() {
        keys.push(Key { name: format!("login:address:{}", client_network(peer)), longest: ADDRESS_WAIT });
    }
    keys
}

fn account(login: &str) -> String {
    format!("login:account:{}", login.chars().take(256).collect::<String>().to_lowercase())
}

/// What is left of the wait that so many failures cost. A count is remembered for the full time from its latest event
/// on, so what is gone of that is how long ago the latest was.
fn left(count: Count, longest: Duration) -> Option<Duration> {
    let ago = FORGET_AFTER.saturating_sub(count.remembered_for);
    penalty(count.events, longest).checked_sub(ago).filter(|left| !left.is_zero())
}

fn penalty(count: u64, most: Duration) -> Duration {
    match count.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(n) => Duration::from_secs(1 << n.min(20)).min(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::LocalCounters;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_names_and_addresses_does_not_hide_who_goes_on_guessing() {
        let throttle = Throttle(Arc::new(LocalCounters::default()));
        let guesser: IpAddr = "192.0.2.1".parse().unwrap();
        for i in 0..80_000u32 {
            if i % 1000 == 0 {
                tokio::time::advance(Duration::from_millis(1)).await;
                throttle.failed(guesser, "ann@example.org").await;
            }
            let stranger = IpAddr::V6(((0x2001_0db8_u128 << 96) + (u128::from(i) << 64)).into());
            throttle.failed(stranger, &format!("{i}@example.org")).await;
        }
        let wait = throttle.wait(guesser, "ann@example.org").await;
        assert!(wait.is_some(), "who goes on guessing is not forgotten");
    }
}
