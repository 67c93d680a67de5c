//! What every engine is handed.

use crate::acme::Shelf;
use crate::auth::{Authenticator, PasswordCost, make_credentials};
use crate::msgid::MessageIds;
use crate::net::TlsUpgrade;
use crate::pop3::Maildrops;
use gadwall_storage::body::SpoolConfig;
use gadwall_storage::operate::Presence;
use gadwall_storage::{
    Clock, Counters, Credentials, Documents, Entropy, LocalCounters, MailStore, OpId, StoreError,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Time, randomness and where heavy work runs. Deadlines and sleeps use `tokio::time`, which a simulation
/// owns as well.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    heavy: Heavy,
    password_cost: PasswordCost,
    sorts: Arc<Semaphore>,
}

/// How many mailboxes are sorted or threaded at the same time: each may need much memory.
const SORTS: usize = 4;

/// Where work runs that would hold up other connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heavy {
    /// On tokio's blocking threads.
    Threads,
    /// At once, where it is called: deterministic.
    Inline,
}

impl Env {
    /// An environment of a real machine.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::of(clock, entropy, Heavy::Threads)
    }

    /// One that starts no threads, for simulations.
    pub fn inline(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::of(clock, entropy, Heavy::Inline)
    }

    fn of(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, heavy: Heavy) -> Self {
        let sorts = Arc::new(Semaphore::new(SORTS));
        Self { clock, entropy, heavy, password_cost: PasswordCost::default(), sorts }
    }

    /// Leave to gather and sort much, for as long as it is held. Who waits for it waits for others' sorting, never for a peer.
    pub async fn sorting(&self) -> Option<SemaphorePermit<'_>> {
        self.sorts.acquire().await.ok()
    }

    /// Whether work may be done on other threads.
    pub fn has_threads(&self) -> bool {
        matches!(self.heavy, Heavy::Threads)
    }

    /// One in which passwords are hashed at another cost.
    pub fn with_password_cost(self, password_cost: PasswordCost) -> Self {
        Self { password_cost, ..self }
    }

    /// What a password is to be known by.
    pub async fn credentials(&self, password: String) -> Result<Credentials, StoreError> {
        let (cost, entropy) = (self.password_cost, self.entropy.clone());
        self.heavy(move || make_credentials(&password, cost, &*entropy)).await
    }

    /// Runs work that takes the processor for long (password hashing) or blocks on a file.
    pub async fn heavy<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        match self.heavy {
            Heavy::Inline => Ok(work()),
            Heavy::Threads => tokio::task::spawn_blocking(work)
                .await
                .map_err(|e| StoreError::unavailable(format!("a worker thread failed: {e}"))),
        }
    }

    /// A fresh operation id: one per received command that changes something.
    pub fn op(&self) -> OpId {
        OpId::mint(&*self.entropy)
    }
}

/// What a node keeps outside of itself.
#[derive(Clone)]
pub struct Backend {
    pub store: Arc<dyn MailStore>,
    pub counters: Arc<dyn Counters>,
    /// Certificates and leases.
    pub documents: Arc<dyn Documents>,
    /// Where it tells other nodes of itself, if there may be any.
    pub presence: Option<Arc<dyn Presence>>,
}

impl Backend {
    /// One node alone, which counts for itself.
    pub fn alone<S: MailStore + Documents + 'static>(store: Arc<S>) -> Self {
        let counters = Arc::new(LocalCounters::default());
        Self { store: store.clone(), counters, documents: store, presence: None }
    }
}

/// Everything an engine works with. Shared by all connections of a process.
pub struct Services {
    pub store: Arc<dyn MailStore>,
    /// Back-off and rates: shared by the nodes of a cluster.
    pub counters: Arc<dyn Counters>,
    pub env: Env,
    pub auth: Arc<Authenticator>,
    /// Present when certificates are ordered: the answers to the authority's challenges.
    pub acme: Option<Shelf>,
    pub message_ids: MessageIds,
    /// Which maildrops POP3 sessions have locked.
    pub maildrops: Arc<Maildrops>,
    /// Present when a certificate is configured: only then is STARTTLS announced (an untrusted certificate
    /// makes Nodemailer fail a send that would have worked in clear).
    pub tls: Option<Arc<dyn TlsUpgrade>>,
    pub spool: SpoolConfig,
    pub limits: Limits,
    /// The host name in greetings and Received lines.
    pub hostname: String,
}

/// What one peer may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest message, in bytes; what SIZE and APPENDLIMIT announce.
    pub message_bytes: u64,
    /// Recipients of one SMTP transaction.
    pub recipients: usize,
    /// Longest command line in bytes, IMAP's without literals.
    pub line_bytes: usize,
    /// Literals of one IMAP command together, APPEND's message apart.
    pub literal_bytes: usize,
    /// Commands in a row that fail before a connection is closed.
    pub bad_commands: u32,
    /// A connection that says nothing for so long is closed, before and after authentication.
    pub unauthenticated_idle: Duration,
    /// RFC 3501 §5.4: at least 30 minutes. RFC 1939 §3: at least 10 minutes. RFC 5321 §4.5.3.2.7: 5 minutes.
    pub imap_idle: Duration,
    pub pop3_idle: Duration,
    pub smtp_idle: Duration,
    /// A peer that takes nothing of what is sent for so long is dropped.
    pub write_stall: Duration,
    /// How often a long IMAP command says how far it is (RFC 9585).
    pub imap_progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 50 << 20,
            recipients: 1000,
            line_bytes: 64 << 10,
            literal_bytes: 1 << 20,
            bad_commands: 20,
            unauthenticated_idle: Duration::from_secs(60),
            imap_idle: Duration::from_secs(31 * 60),
            pop3_idle: Duration::from_secs(10 * 60),
            smtp_idle: Duration::from_secs(5 * 60),
            write_stall: Duration::from_secs(120),
            imap_progress: Duration::from_secs(10),
        }
    }
}
