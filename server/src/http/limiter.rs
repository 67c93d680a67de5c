//! How many accounts one client may make in an hour.

use crate::net::client_network;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(3600);
/// How many clients are counted at a time; beyond, the oldest are forgotten.
const CLIENTS: usize = 50_000;

/// Counts per client. An IPv6 client is its /64, which is what one subscriber gets.
pub struct Limiter {
    per_hour: u32,
    clients: Mutex<BTreeMap<IpAddr, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Instant,
    made: u32,
}

impl Limiter {
    pub fn new(per_hour: u32) -> Self {
        Self { per_hour, clients: Mutex::default() }
    }

    /// Counts one; the time to wait when there were enough.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = client_network(client);
        if clients.len() >= CLIENTS && !clients.contains_key(&client) {
            make_room(&mut clients, now);
        }
        let count = clients.entry(client).or_insert(Count { since: now, made: 0 });
        if now.duration_since(count.since) >= WINDOW {
            *count = Count { since: now, made: 0 };
        }
        if count.made >= self.per_hour {
            return Err(WINDOW.saturating_sub(now.duration_since(count.since)));
        }
        count.made += 1;
        Ok(())
    }
}

fn make_room(clients: &mut BTreeMap<IpAddr, Count>, now: Instant) {
    clients.retain(|_, c| now.duration_since(c.since) < WINDOW);
    if clients.len() >= CLIENTS
        && let Some(oldest) = clients.iter().min_by_key(|(_, c)| c.since).map(|(ip, _)| *ip)
    {
        clients.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_share_per_hour_and_no_more() {
        let limiter = Limiter::new(2);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(limiter.take(a).is_ok() && limiter.take(a).is_ok());
        assert_eq!(limiter.take(a), Err(WINDOW));
        assert!(limiter.take(b).is_ok(), "another client has a share of its own");
        tokio::time::advance(WINDOW).await;
        assert!(limiter.take(a).is_ok());
    }

    #[tokio::test]
    async fn neighbours_of_one_ipv6_network_are_one_client() {
        let limiter = Limiter::new(1);
        assert!(limiter.take("2001:db8:1:2::5".parse().unwrap()).is_ok());
        assert!(limiter.take("2001:db8:1:2:ffff::9".parse().unwrap()).is_err());
        assert!(limiter.take("2001:db8:1:3::5".parse().unwrap()).is_ok());
    }
}
