//! The contract: every promise of [`MailStore`](crate::MailStore), as a claim that is checked on a fresh store.
//!
//! A backend runs the whole suite through one macro, [`contract_suite!`](crate::contract_suite); what it can't keep it
//! names there, with the reason. A claim panics when it is violated. After each claim the store is audited as well.
//! [`faults`] holds stores that break one promise each: the proof that the suite can fail.
//!
//! Claims know the traits and the model, and nothing of any backend.

mod backend;
pub mod claims;
mod client;
mod documents;
pub mod faults;
mod snapshot;
mod suite;
mod world;

pub use backend::{Backend, Instance, MemoryBackend};
pub use client::Client;
pub use documents::documents;
pub use snapshot::{AccountSnapshot, MailboxSnapshot};
pub use suite::{Claim, all_claims, check, run};
pub use world::*;
