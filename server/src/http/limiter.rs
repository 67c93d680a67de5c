//! How many accounts one client may make in an hour. All nodes of a cluster count together.

use crate::net::client_network;
use gadwall_storage::{Counters, Window};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(3600);

/// Counts per client.
pub struct Limiter {
    per_hour: u32,
    counters: Arc<dyn Counters>,
}

impl Limiter {
    pub fn new(per_hour: u32, counters: Arc<dyn Counters>) -> Self {
        Self { per_hour, counters }
    }

    /// Counts one; the time to wait when there were enough.
    pub async fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let key = format!("accounts:{}", client_network(client));
        // Counted first: of two that come at once to two nodes, one is the last.
        let count = self.counters.add(&key, Window::AfterFirst(WINDOW)).await;
        if count.events > u64::from(self.per_hour) { Err(count.remembered_for) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::LocalCounters;

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_share_per_hour_and_no_more() {
        let limiter = Limiter::new(2, Arc::new(LocalCounters::default()));
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(limiter.take(a).await.is_ok() && limiter.take(a).await.is_ok());
        assert_eq!(limiter.take(a).await, Err(WINDOW));
        assert!(limiter.take(b).await.is_ok(), "another client has a share of its own");
        tokio::time::advance(WINDOW).await;
        assert!(limiter.take(a).await.is_ok());
    }

    #[tokio::test]
    async fn neighbours_of_one_ipv6_network_are_one_client() {
        let limiter = Limiter::new(1, Arc::new(LocalCounters::default()));
        assert!(limiter.take("2001:db8:1:2::5".parse().unwrap()).await.is_ok());
        assert!(limiter.take("2001:db8:1:2:ffff::9".parse().unwrap()).await.is_err());
        assert!(limiter.take("2001:db8:1:3::5".parse().unwrap()).await.is_ok());
    }
}
