//! The contract suite: every promise of the store, run on every backend.
