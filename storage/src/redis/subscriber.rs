//! Hints on their way in: a connection of its own, which must be heard from every two seconds.

use super::bus::Core;
use super::link::Link;
use super::url::Endpoint;
use super::wire::decode;
use crate::Hint;
use futures_util::StreamExt;
use redis::aio::PubSub;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A connection that nothing comes over for so long is dead: a stopped process would never be noticed otherwise.
const SILENCE: Duration = super::outbox::BEAT.saturating_mul(2);
/// Even while all seems well a hint may get lost: listeners look at everything once in so long.
const LOOK_AROUND: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(30));

/// Listens for ever.
pub(super) async fn listen(core: &Core) {
    let mut links = core.links.watch();
    loop {
        let endpoint = match links.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Link { endpoint, .. })) => endpoint.clone(),
            _ => return,
        };
        let channels = [core.channels.hints.clone(), core.channels.beat.clone()];
        match core.links.finder.subscribe(&endpoint, &channels).await {
            Ok(mut pubsub) => {
                // What was said since the last subscription was not heard.
                core.deliver(Hint::Resync);
                core.outbox.beat.notify_one();
                let why = until_silent(core, &mut pubsub, &mut links, &endpoint).await;
                if core.up.swap(false, Ordering::Relaxed) {
                    tracing::info!(redis = %endpoint, why, "hints stopped");
                }
            }
            Err(trouble) => tracing::debug!(error = %trouble, "cannot listen for hints"),
        }
        tokio::time::sleep(core.links.pause()).await;
    }
}

/// Passes hints on until the connection is of no use; why it is not.
async fn until_silent(
    core: &Core,
    pubsub: &mut PubSub,
    links: &mut watch::Receiver<Option<Link>>,
    at: &Endpoint,
) -> &'static str {
    let mut messages = pubsub.on_message();
    let mut silent = Instant::now() + SILENCE;
    let mut look_around = core.next_look_around();
    loop {
        tokio::select! {
            biased;
            () = sleep_until(look_around) => {
                look_around = core.next_look_around();
                core.deliver(Hint::Resync);
            }
            _ = links.changed() => {
                if links.borrow_and_update().as_ref().is_some_and(|link| link.endpoint != *at) {
                    return "another server is the master";
                }
            }
            // Before the silence: what has arrived was not silent, however late we come to see it.
            message = messages.next() => {
                let Some(message) = message else { return "the connection ended" };
                silent = Instant::now() + SILENCE;
                if message.get_channel_name() == core.channels.beat {
                    // Said and heard: the whole way works.
                    if !core.up.swap(true, Ordering::Relaxed) {
                        tracing::info!(redis = %at, "hints flow");
                    }
                } else if let Some(hint) = decode(core.node, message.get_payload_bytes()) {
                    core.deliver(hint);
                }
            }
            () = sleep_until(silent) => return "nothing was heard",
        }
    }
}

impl Core {
    fn next_look_around(&self) -> Instant {
        Instant::now() + self.links.between(LOOK_AROUND.0, LOOK_AROUND.1)
    }
}
