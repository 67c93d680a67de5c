//! Sessions that do anything beside each other on one account, against a small reference model of IMAP's rules: what
//! each command does to the mailboxes, and what each connection may have been told of it.
//!
//! Commands of all connections stand in one order, each answered before the next one begins, so the model knows what
//! is there; what it does not know is when a connection hears of what others did. So a connection has a picture made of
//! nothing but what it was told (RFC 3501 §7), and that has to become the mailbox wherever the server must say all.

mod answer;
mod changes;
mod command;
mod looks;
mod mailbox;
mod play;

pub use command::{Command, Step, steps};
pub use play::Play;
