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
    /// How many there are, if that is known.
    goal: Option<u32>,
}

impl<'a> Progress<'a> {
    /// `every`: the least time between two words of it.
    pub fn new(tag: &'a Tag, every: Duration, wire: &'a mut Wire) -> Self {
        Self { tag, wire, every, next: Instant::now() + every, done: 0, goal: None }
    }

    /// So many messages are to be looked at.
    pub fn expect(&mut self, messages: u32) {
        self.goal = Some(messages);
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
        self.wire.flush().await?;
        self.next = Instant::now() + self.every;
        Ok(())
    }
}
