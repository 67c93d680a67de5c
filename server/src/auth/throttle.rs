//! Back-off for those who guess: failures are counted by client address and by account, and forgotten after a
//! quarter of an hour of peace.

use crate::net::client_network;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 10;
/// Longest wait for an address.
const ADDRESS_WAIT: Duration = Duration::from_secs(300);
/// Longest wait for an account: short, or a stranger could lock its owner out.
const ACCOUNT_WAIT: Duration = Duration::from_secs(15);
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
/// Entries kept; beyond, the oldest go first.
const CAPACITY: usize = 50_000;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Address(IpAddr),
    Account(String),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Counts failed logins.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<BTreeMap<Key, Failures>>);

impl Throttle {
    /// How long this address, or anybody for this account, has to wait before the next try.
    pub fn wait(&self, peer: IpAddr, login: &str) -> Option<Duration> {
        let now = Instant::now();
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |key: &Key, most| {
            let failures = entries.get(key)?;
            let until = failures.last + penalty(failures.count, most);
            (until > now && now < failures.last + FORGET_AFTER).then(|| until - now)
        };
        keys(peer, login).iter().filter_map(|key| left(key, longest(key))).max()
    }

    /// Notes a failure.
    pub fn failed(&self, peer: IpAddr, login: &str) {
        let now = Instant::now();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys(peer, login);
        if entries.len() + keys.len() > CAPACITY {
            make_room(&mut entries, now);
        }
        for key in keys {
            let failures = entries.entry(key).or_insert(Failures { count: 0, last: now });
            if now >= failures.last + FORGET_AFTER {
                failures.count = 0;
            }
            *failures = Failures { count: failures.count.saturating_add(1), last: now };
        }
    }

    /// Notes a success: the account's owner is there. The address may still be guessing at others.
    pub fn succeeded(&self, login: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&Key::Account(login.to_lowercase()));
    }
}

/// Forgets what is over, and if that is not enough the older half: so a flood does not make every failure walk through
/// all of them.
fn make_room(entries: &mut BTreeMap<Key, Failures>, now: Instant) {
    entries.retain(|_, failures| now < failures.last + FORGET_AFTER);
    if entries.len() > CAPACITY / 2 {
        let mut times: Vec<Instant> = entries.values().map(|failures| failures.last).collect();
        let middle = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(middle);
        entries.retain(|_, failures| failures.last > *middle);
    }
}

/// An address on this machine is nobody in particular: only the account counts then. IPv6 clients own a /64.
fn keys(peer: IpAddr, login: &str) -> Vec<Key> {
    let mut keys = vec![Key::Account(login.chars().take(256).collect::<String>().to_lowercase())];
    match peer.to_canonical() {
        address if address.is_loopback() => {}
        address => keys.push(Key::Address(client_network(address))),
    }
    keys
}

fn longest(key: &Key) -> Duration {
    match key {
        Key::Address(_) => ADDRESS_WAIT,
        Key::Account(_) => ACCOUNT_WAIT,
    }
}

fn penalty(count: u32, most: Duration) -> Duration {
    match count.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(n) => Duration::from_secs(1 << n.min(20)).min(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_names_and_addresses_stays_within_bounds() {
        let throttle = Throttle::default();
        let guesser: IpAddr = "192.0.2.1".parse().unwrap();
        for i in 0..80_000u32 {
            if i % 1000 == 0 {
                tokio::time::advance(Duration::from_millis(1)).await;
                throttle.failed(guesser, "ann@example.org");
            }
            throttle.failed(
                IpAddr::V6(((0x2001_0db8_u128 << 96) + (u128::from(i) << 64)).into()),
                &format!("{i}@example.org"),
            );
            assert!(throttle.0.lock().unwrap().len() <= CAPACITY);
        }
        assert!(throttle.wait(guesser, "ann@example.org").is_some(), "who goes on guessing is not forgotten");
    }
}
