//! Sees to it that there is a certificate: takes up what any node has got, and orders when it is time.

use super::AcmeConfig;
use super::order::{AcmeError, order};
use super::shelf::{Attempts, Issued, Lease, Shelf};
use crate::Env;
use crate::tls::Tls;
use gadwall_storage::{StoreError, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How often a node looks whether another has got a certificate.
const LOOK: Duration = Duration::from_secs(30);
/// Longest one order may take.
const ORDER: Duration = Duration::from_secs(5 * 60);
/// How long a lease holds: an order and then some, as clocks differ.
const LEASE: Duration = Duration::from_secs(10 * 60);
/// Longest pause after failures.
const PAUSE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps the certificate of one node.
pub struct Keeper {
    config: AcmeConfig,
    shelf: Shelf,
    env: Env,
    tls: Arc<Tls>,
    /// Names this run of this node.
    me: String,
    installed: Option<String>,
}

impl Keeper {
    pub fn new(config: AcmeConfig, shelf: Shelf, env: Env, tls: Arc<Tls>) -> Self {
        let me = format!("{:032x}", u128::from_be_bytes(env.entropy.bytes()));
        Self { config, shelf, env, tls, me, installed: None }
    }

    /// Keeps it for ever.
    pub async fn keep(mut self) {
        loop {
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(e) => {
                    tracing::warn!(error = %e, "could not look after the certificate");
                    self.look()
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// No test waits for half a minute.
    fn look(&self) -> Duration {
        LOOK.min(self.config.retry)
    }

    /// Looks once, orders if it is time, and says when to look again.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        let due = self.take_up().await?;
        let now = self.env.clock.now();
        if due > now {
            let left = Duration::from_millis(due.0.abs_diff(now.0));
            return Ok(left.min(self.look()));
        }
        let Some(lease) = self.shelf.lease(&self.me, now, LEASE).await? else { return Ok(self.look()) };
        // Somebody may have been here between our look and the lease.
        if self.take_up().await? <= now {
            self.order(lease).await?;
        }
        self.shelf.release(lease).await?;
        self.take_up().await?;
        Ok(self.look())
    }

    /// Serves with the certificate there is, and says when the next is to be ordered.
    async fn take_up(&mut self) -> Result<Timestamp, StoreError> {
        let issued = self.shelf.certificate().await?.filter(|issued| issued.is_for(&self.config));
        let mut due = Timestamp(0);
        if let Some(issued) = issued {
            due = issued.renew_at();
            if self.installed.as_ref() != Some(&issued.chain_pem) {
                match self.tls.install(&issued.chain_pem, &issued.key_pem) {
                    Ok(()) => tracing::info!(names = issued.domains.join(","), "certificate taken up"),
                    Err(e) => tracing::error!(error = %e, "the certificate on the shelf is of no use"),
                }
                self.installed = Some(issued.chain_pem);
            }
        }
        let failed = self.shelf.attempts().await?.filter(|failed| self.is_ours(failed));
        Ok(failed.map_or(due, |failed| due.max(failed.next)))
    }

    fn is_ours(&self, failed: &Attempts) -> bool {
        (&failed.directory, &failed.domains) == (&self.config.directory, &self.config.domains)
    }

    async fn order(&self, lease: Lease) -> Result<(), StoreError> {
        tracing::info!(names = self.config.domains.join(","), from = self.config.directory, "ordering");
        let ordered = tokio::time::timeout(ORDER, order(&self.config, &self.shelf, lease)).await;
        match ordered.unwrap_or(Err(AcmeError::TooSlow)) {
            Ok(issued) => self.issued(lease, &issued).await,
            Err(e) => self.failed(lease, e).await,
        }
    }

    async fn issued(&self, lease: Lease, issued: &Issued) -> Result<(), StoreError> {
        match self.shelf.put_certificate(lease, issued).await {
            Ok(()) => {
                tracing::info!(names = issued.domains.join(","), "certificate issued");
                self.note(lease, 0, Timestamp(0), String::new()).await
            }
            Err(e) => self.failed(lease, e).await,
        }
    }

    /// The authority counts failures (Let's Encrypt: five an hour for an account and name), over all nodes and runs: so
    /// do we.
    async fn failed(&self, lease: Lease, error: AcmeError) -> Result<(), StoreError> {
        if let AcmeError::Superseded = error {
            tracing::warn!("another node has taken over the order");
            return Ok(());
        }
        let failures = self.shelf.attempts().await?.filter(|known| self.is_ours(known));
        let failures = failures.map_or(0, |known| known.failures).saturating_add(1);
        let pause = pause(self.config.retry, failures);
        tracing::error!(error = %error, failures, retry_secs = pause.as_secs(), "no certificate");
        self.note(lease, failures, self.env.clock.now().after(pause), error.to_string()).await
    }

    async fn note(
        &self,
        lease: Lease,
        failures: u32,
        next: Timestamp,
        why: String,
    ) -> Result<(), StoreError> {
        let AcmeConfig { directory, domains, .. } = self.config.clone();
        match self.shelf.put_attempts(lease, &Attempts { directory, domains, failures, next, why }).await {
            Err(AcmeError::Store(e)) => Err(e),
            _ => Ok(()),
        }
    }
}

fn pause(first: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    doubled.min(PAUSE_LIMIT.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_day() {
        let hour = Duration::from_secs(3600);
        let hours: Vec<_> = (1..=7).map(|n| pause(hour, n).as_secs() / 3600).collect();
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
        assert_eq!(pause(hour, u32::MAX), PAUSE_LIMIT);
    }
}
