//! The store itself: the lock around the state, and the one way to change it.

use super::Limits;
use super::operations::{Fingerprint, Operation};
use super::state::State;
use crate::{Clock, Entropy, HintHub, OpId, Result, StoreError, Timestamp};
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A [`MailStore`](crate::MailStore) that forgets everything when it is dropped.
pub struct MemoryStore {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) limits: Limits,
    pub(super) hub: HintHub,
    state: Mutex<State>,
}

/// What a mutation sees of its surroundings.
pub(super) struct Context<'a> {
    pub now: Timestamp,
    pub clock: &'a dyn Clock,
    pub entropy: &'a dyn Entropy,
    pub limits: &'a Limits,
}

impl MemoryStore {
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::with_limits(clock, entropy, Limits::default())
    }

    pub fn with_limits(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, limits: Limits) -> Self {
        Self { clock, entropy, limits, hub: HintHub::default(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { now: self.clock.now(), clock: &*self.clock, entropy: &*self.entropy, limits: &self.limits }
    }

    /// Runs one mutation, or answers from the record if `op` has been run before. `change` must refuse
    /// before it changes anything.
    pub(super) fn mutate<T: Any + Clone + Send + Sync>(
        &self,
        op: OpId,
        print: Fingerprint,
        change: impl FnOnce(&mut State, &Context) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        state.writable()?;
        if let Some(known) = state.operations.get(&op) {
            return known.answer(&print).ok_or(StoreError::OperationMismatch);
        }
        let context = self.context();
        let outcome = change(&mut state, &context)?;
        state.operations.insert(op, Operation::new(context.now, print, outcome.clone()));
        self.tell(&mut state);
        Ok(outcome)
    }

    /// Publishes the hints the change has left, in the order of the changes.
    pub(super) fn tell(&self, state: &mut State) {
        state.hints.drain(..).for_each(|hint| self.hub.publish(hint));
    }
}
