//! Deliberate mistakes: whoever looks for lost mail makes one, to show that it is found.

/// All off. Each loses mail, or shows it wrongly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// Commits are answered before they are tried.
    pub commits_early: bool,
    /// No mutation is recorded under its id: one that is run again happens again.
    pub forgets_operations: bool,
    /// A read is believed without what shows that a majority has it and no deposed primary has answered, and whichever
    /// member is nearest is asked where there is no transaction.
    pub reads_stale: bool,
    /// While there is a bus, it is believed to bring every hint.
    pub trusts_hints: bool,
    /// What a mutation has changed is journaled by a write of its own, after the transaction.
    pub journals_apart: bool,
    /// Whoever has once had a lease goes on with the work.
    pub ignores_fence: bool,
}
