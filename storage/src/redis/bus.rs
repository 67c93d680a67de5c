//! The actor as its users see it.

use super::dial::Dial;
use super::link::Links;
use super::master::{Finder, Task};
use super::outbox::{self, Outbox};
use super::subscriber;
use super::url::RedisUrl;
use super::wire::NodeId;
use crate::{Entropy, Hint, HintBus, LocalCounters, LocalLookups};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;

/// How far a listener may fall behind before it is told so (`Lagged`, which means the same as `Hint::Resync`).
const BACKLOG: usize = 1024;

/// What the actor is made of.
pub struct RedisOptions {
    pub url: RedisUrl,
    pub dial: Arc<dyn Dial>,
    pub entropy: Arc<dyn Entropy>,
    /// How long a counter may take before the node counts for itself: logins wait for it.
    pub counter_patience: Duration,
}

impl RedisOptions {
    pub fn new(url: RedisUrl, dial: Arc<dyn Dial>, entropy: Arc<dyn Entropy>) -> Self {
        Self { url, dial, entropy, counter_patience: Duration::from_millis(150) }
    }
}

/// Hints, counters and look-ups in Redis. Ends with its last owner.
pub struct RedisBus {
    pub(super) core: Arc<Core>,
    pub(super) local: LocalCounters,
    pub(super) counter_patience: Duration,
    pub(super) known: LocalLookups,
    /// Until when look-ups do without Redis.
    pub(super) left_alone_until: Mutex<Instant>,
    _tasks: [Task; 3],
}

/// What the actor's tasks share.
pub(super) struct Core {
    pub links: Links,
    pub outbox: Outbox,
    pub channels: Channels,
    pub node: NodeId,
    /// Whether a heartbeat came back over the present subscription.
    pub up: AtomicBool,
    heard: broadcast::Sender<Hint>,
}

/// Channels know no databases: the number is part of the name.
pub(super) struct Channels {
    pub hints: String,
    pub beat: String,
}

impl RedisBus {
    /// Starts connecting, and answers at once: without Redis, too, everything works.
    pub fn start(options: RedisOptions) -> Self {
        let node = NodeId(options.entropy.bytes());
        let db = options.url.db;
        let core = Arc::new(Core {
            links: Links::new(Finder { url: options.url, dial: options.dial }, options.entropy),
            outbox: Outbox::default(),
            channels: Channels {
                hints: format!("gadwall:{db}:hints"),
                beat: format!("gadwall:{db}:beat:{node}"),
            },
            node,
            up: AtomicBool::new(false),
            heard: broadcast::Sender::new(BACKLOG),
        });
        let (keeping, publishing, listening) = (core.clone(), core.clone(), core.clone());
        let tasks = [
            Task::spawn(async move { keeping.links.keep().await }),
            Task::spawn(async move { outbox::publish(&publishing).await }),
            Task::spawn(async move { subscriber::listen(&listening).await }),
        ];
        Self {
            core,
            local: LocalCounters::default(),
            counter_patience: options.counter_patience,
            known: LocalLookups::default(),
            left_alone_until: Mutex::new(Instant::now()),
            _tasks: tasks,
        }
    }
}

impl HintBus for RedisBus {
    fn publish(&self, hint: Hint) {
        self.core.outbox.push(hint);
    }

    fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.core.heard.subscribe()
    }

    fn is_up(&self) -> bool {
        self.core.up.load(Ordering::Relaxed)
    }
}

impl Core {
    pub fn deliver(&self, hint: Hint) {
        // Nobody may be listening yet.
        let _ = self.heard.send(hint);
    }
}
