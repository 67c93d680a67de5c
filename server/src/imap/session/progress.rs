//! How far a long command has got (RFC 9585): so nobody takes the connection for dead.

use super::Fail;
use crate::imap::encode::{Code, Status};
use crate::imap::types::Tag;
use crate::imap::wire::Wire;
use std::time::Duration;
use tokio::time::Instant;

/// A command under way.
pub(super) struct Progress<'a> {
    tag: &'a Tag,
    wire: &'a mut Wire,
    every: Duration,
    next: Instant,
    done: u32,
    /// How many there are; `None` where that is of no use.
    goal: Option<u32>,
}

impl<'a> Progress<'a> {
    /// `every`: the least time between two words of it.
    pub fn new(tag: &'a Tag, every: Duration, wire: &'a mut Wire) -> Self {
        Self { goal: Some(0), ..Self::uncounted(tag, every, wire) }
    }

    /// Of one mailbox among several, whose messages say little of how far it is.
    pub fn uncounted(tag: &'a Tag, every: Duration, wire: &'a mut Wire) -> Self {
        Self { tag, wire, every, next: Instant::now() + every, done: 0, goal: None }
    }

    /// So many messages are to be looked at.
    pub fn expect(&mut self, messages: u64) {
        self.goal = self.goal.map(|_| u32::try_from(messages).unwrap_or(u32::MAX));
    }

    /// One more message has been looked at. Says so if nothing has been said for long.
    pub async fn step(&mut self) -> Result<(), Fail> {
        self.done = self.done.saturating_add(1);
        // RFC 9585 §4: where the goal is reached, the command is done.
        if Instant::now() < self.next || self.goal.is_some_and(|goal| self.done >= goal) {
            return Ok(());
        }
        let code = Code::InProgress { tag: self.tag.clone(), state: self.goal.map(|goal| (self.done, goal)) };
        self.wire.status(None, &Status::ok("Still at it").code(code));
        // Whoever searches may hold what others wait for, so this waits for no client.
        self.wire.flush_now().await?;
        self.next = Instant::now() + self.every;
        Ok(())
    }
}
