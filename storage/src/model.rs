//! What the store knows: accounts, mailboxes, messages, and what changed.

mod account;
mod annotation;
mod change;
mod flags;
mod id;
mod mailbox;
mod message;

pub use account::*;
pub use annotation::*;
pub use change::*;
pub use flags::*;
pub use id::*;
pub use mailbox::*;
pub use message::*;
