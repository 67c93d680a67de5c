//! A node of a cluster tells the others that it is there, for `gadwall cluster status`. Nothing else depends on it.

use crate::Env;
use crate::config::Door;
use gadwall_storage::operate::{Node, Presence};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often.
const EVERY: Duration = Duration::from_secs(5);
/// How long leaving may take: without a database the others find out by the silence.
const FAREWELL: Duration = Duration::from_secs(2);

/// Tells until it is told to leave.
pub struct Announcer {
    presence: Arc<dyn Presence>,
    telling: JoinHandle<()>,
}

impl Announcer {
    /// `serving` turns false when the node begins to drain.
    pub fn start(
        presence: Arc<dyn Presence>,
        env: Env,
        listeners: &[(Door, SocketAddr)],
        serving: watch::Receiver<bool>,
    ) -> Self {
        let now = env.clock.now();
        let node = Node {
            id: presence.id(),
            hostname: machine_name(),
            version: env!("CARGO_PKG_VERSION").into(),
            listeners: listeners.iter().map(|(door, addr)| format!("{} {addr}", door.name())).collect(),
            since: now,
            seen: now,
            draining: false,
        };
        let telling = tokio::spawn(tell(presence.clone(), env, node, serving));
        Self { presence, telling }
    }

    pub async fn leave(self) {
        self.telling.abort();
        // What it was just telling must not come after the farewell.
        let _ = self.telling.await;
        match tokio::time::timeout(FAREWELL, self.presence.withdraw()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "left without a word"),
            Err(_) => tracing::debug!("left without a word: no answer in time"),
        }
    }
}

async fn tell(presence: Arc<dyn Presence>, env: Env, mut node: Node, mut serving: watch::Receiver<bool>) {
    loop {
        node.seen = env.clock.now();
        node.draining = !*serving.borrow_and_update();
        if let Err(error) = presence.announce(&node).await {
            tracing::debug!(%error, "the other nodes do not hear of this one");
        }
        tokio::select! {
            biased;
            // The sender lives as long as the server.
            changed = serving.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// What the machine is called; the configured hostname is the service's, the same on every node.
fn machine_name() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::{Result, SystemClock, SystemEntropy};
    use tokio::sync::mpsc;

    /// Hands on what it is told; `None` for the farewell.
    struct Heard(mpsc::UnboundedSender<Option<Node>>);

    #[async_trait::async_trait]
    impl Presence for Heard {
        fn id(&self) -> String {
            "me".into()
        }

        async fn announce(&self, node: &Node) -> Result<()> {
            self.0.send(Some(node.clone())).unwrap();
            Ok(())
        }

        async fn withdraw(&self) -> Result<()> {
            self.0.send(None).unwrap();
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_tells_again_and_again_at_once_when_it_drains_and_when_it_leaves() {
        let (sender, mut heard) = mpsc::unbounded_channel();
        let (serving, is_serving) = watch::channel(true);
        let env = Env::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
        let imap = [(Door::Imap, "10.0.0.1:143".parse().unwrap())];
        let announcer = Announcer::start(Arc::new(Heard(sender)), env, &imap, is_serving);
        let first = heard.recv().await.unwrap().unwrap();
        assert_eq!((first.draining, &first.listeners[..]), (false, &["imap 10.0.0.1:143".to_owned()][..]));
        let began = tokio::time::Instant::now();
        assert!(!heard.recv().await.unwrap().unwrap().draining);
        assert_eq!(began.elapsed(), EVERY);
        serving.send_replace(false);
        assert!(heard.recv().await.unwrap().unwrap().draining);
        assert_eq!(began.elapsed(), EVERY, "not a moment later");
        announcer.leave().await;
        assert_eq!(heard.recv().await, Some(None));
        assert_eq!(heard.recv().await, None, "and nothing after that");
    }
}
