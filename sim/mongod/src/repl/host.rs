//! What replication needs of the member around it.

use crate::oplog::{Entry, OpTime};

/// The documents: nothing but the log applied, entry by entry.
pub trait StateMachine {
    /// An entry that another member wrote, or one from the journal. In order, each once.
    fn apply(&mut self, entry: &Entry);
    /// Undoes all entries after this one.
    fn rollback_to(&mut self, at: OpTime);
    /// A majority has everything up to here.
    fn committed(&mut self, at: OpTime);
    /// This member is no primary any more.
    fn step_down(&mut self);
}

/// The member: one lock over its state machine and its log.
pub trait Host: Send + Sync {
    /// Does `work` with the member locked, which nothing else may then use. Commands that wait for the log look at it
    /// again afterwards.
    fn with(&self, work: &mut dyn FnMut(&mut dyn StateMachine));
}
