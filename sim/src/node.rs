//! A Gadwall node on a simulated host.

use gadwall::config::{Config, Settings};
use gadwall::net::Net;
use gadwall::run::{self, Running};
use gadwall::{Backend, Env};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{ManualClock, SeededEntropy};
use std::sync::Arc;

/// Where every simulated node listens: SMTP, IMAP, POP3, HTTP.
pub const PORTS: [u16; 4] = [1025, 1143, 1110, 8025];

/// What makes a node: its store, its clock and its source of randomness.
pub struct Node {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<ManualClock>,
    pub seed: u64,
}

impl Node {
    /// Starts it on the simulated host that this is called on. It runs until its host goes.
    pub async fn start(self, net: &dyn Net) -> Result<Running, Box<dyn std::error::Error>> {
        let [smtp, imap, pop3, http] = PORTS;
        let settings = Settings::from_toml(&format!(
            "data = \"/nowhere\"\nstore = \"memory\"\nsmtp = \"0.0.0.0:{smtp}\"\nimap = \"0.0.0.0:{imap}\"\n\
             pop3 = \"0.0.0.0:{pop3}\"\nhttp = \"0.0.0.0:{http}\"\naccept-anything = true\n"
        ))?;
        let env = Env::inline(self.clock, Arc::new(SeededEntropy::new(self.seed)));
        Ok(run::start(Config::resolve(settings)?, Backend::alone(self.store), env, net).await?)
    }
}
