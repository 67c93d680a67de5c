//! Hints on their way out: a bounded queue, and the task that empties it.

use super::bus::Core;
use super::wire::encode;
use crate::Hint;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Hints that wait; beyond, the oldest go.
const CAPACITY: usize = 1024;
/// Hints sent in one round trip.
const BATCH: usize = 128;
/// How long a round trip may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a node says something to itself, to see that it would be heard.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// What waits to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    /// Somebody wants to hear the heart now.
    pub beat: Notify,
}

#[derive(Default)]
struct Queue {
    hints: VecDeque<Hint>,
    /// A hint was dropped, or may not have arrived: the others have to be told to look at everything.
    lost: bool,
}

impl Outbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, hint: Hint) {
        let mut queue = self.queue();
        if queue.hints.len() >= CAPACITY {
            queue.hints.pop_front();
            queue.lost = true;
        }
        queue.hints.push_back(hint);
        drop(queue);
        self.ready.notify_one();
    }

    /// What is to be sent next. A `Resync` goes first when something was lost: it covers all that came before it.
    fn take(&self) -> Vec<Hint> {
        let mut queue = self.queue();
        let lost = std::mem::take(&mut queue.lost);
        let mut batch: Vec<Hint> = lost.then_some(Hint::Resync).into_iter().collect();
        let count = queue.hints.len().min(BATCH);
        batch.extend(queue.hints.drain(..count));
        if !queue.hints.is_empty() {
            self.ready.notify_one();
        }
        batch
    }

    /// Waits until there is something to send: hints, or a heartbeat.
    async fn next(&self, beats: &mut Interval) -> (Vec<Hint>, bool) {
        loop {
            let beat = tokio::select! {
                biased;
                () = self.ready.notified() => false,
                () = self.beat.notified() => true,
                _ = beats.tick() => true,
            };
            let batch = self.take();
            // A heartbeat may have taken along the hints that this was woken for. To send nothing is an error to Redis.
            if beat || !batch.is_empty() {
                return (batch, beat);
            }
        }
    }

    fn lose(&self) {
        self.queue().lost = true;
    }
}

/// Sends what is put into the outbox, and a heartbeat every second, for ever.
pub(super) async fn publish(core: &Core) {
    let mut links = core.links.watch();
    let mut beats = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if links.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let (batch, beat) = core.outbox.next(&mut beats).await;
        if !send(core, &batch, beat).await && !batch.is_empty() {
            core.outbox.lose();
        }
    }
}

async fn send(core: &Core, batch: &[Hint], beat: bool) -> bool {
    let mut pipe = redis::pipe();
    for hint in batch {
        pipe.cmd("PUBLISH").arg(&core.channels.hints).arg(encode(core.node, hint)).ignore();
    }
    if beat {
        pipe.cmd("PUBLISH").arg(&core.channels.beat).arg("").ignore();
    }
    let ask = |connection: super::master::Connection| async move {
        pipe.query_async::<()>(&mut connection.channel()).await
    };
    core.links.ask(PATIENCE, ask).await.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountId;

    fn hint(n: usize) -> Hint {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Hint::Account { account: AccountId(id) }
    }

    #[test]
    fn the_oldest_hints_go_first_and_the_others_are_told() {
        let outbox = Outbox::default();
        (0..CAPACITY + 3).for_each(|n| outbox.push(hint(n)));
        let first = outbox.take();
        assert_eq!((first[0], first[1]), (Hint::Resync, hint(3)));
        assert_eq!(first.len(), BATCH + 1);
        let mut rest = 0;
        while let batch @ [_, ..] = &outbox.take()[..] {
            assert!(!batch.contains(&Hint::Resync), "told once");
            rest += batch.len();
        }
        assert_eq!(BATCH + rest, CAPACITY);
    }

    #[tokio::test(start_paused = true)]
    async fn hints_that_went_with_a_heartbeat_are_not_sent_for_again() {
        let outbox = Outbox::default();
        outbox.push(hint(1));
        assert_eq!(outbox.take(), [hint(1)]);
        let mut beats = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
        assert_eq!(outbox.next(&mut beats).await, (vec![], true), "nothing but the next heartbeat");
    }

    #[test]
    fn what_may_not_have_arrived_is_followed_by_a_resync() {
        let outbox = Outbox::default();
        outbox.push(hint(1));
        assert_eq!(outbox.take(), [hint(1)]);
        outbox.lose();
        outbox.push(hint(2));
        assert_eq!(outbox.take(), [Hint::Resync, hint(2)]);
    }
}
