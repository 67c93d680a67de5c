//! The memory backend: the executable specification of [`MailStore`](crate::MailStore).
//!
//! Plain data behind one mutex that is never held across an await; each mutation checks first, then changes. Where a
//! doc comment of the traits leaves room, this is what it means. In particular:
//! - An expired account is as good as gone for every call, and its addresses are free; an expired message is there
//!   until a sweep expunges it.
//! - UIDVALIDITY comes from one counter of the whole store, so that it does not repeat for an account that is deleted
//!   and made anew under its old address either.
//! - Subscriptions are names: neither deletion nor renaming of a mailbox touches them.
//! - A copy expires when its original does.
//!
//! It deliberately knows nothing of disks, chunks and compression: a body is held as it was staged.

mod directory;
mod documents;
mod feed;
mod limits;
mod mailboxes;
mod maintenance;
mod messages;
mod operations;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod transfer;

pub use limits::Limits;
pub use store::MemoryStore;
