//! Bytes to typed commands: pure, streaming, no async. Any split of the input gives the same events.
//!
//! `framing` finds where commands begin and end, literals included, and hands a message's literal through in
//! pieces; the other modules are the grammar over one whole command.

mod append;
mod command;
mod cursor;
mod date;
mod fetch;
mod framing;
mod mailbox;
mod search;
mod sort;

pub use framing::{Decoder, Limits};

use super::types::{AppendHeader, Tag, Tagged};
use bytes::Bytes;

/// What came out of the client's bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A whole command.
    Command(Tagged),
    /// A command's (not a message's) synchronising literal was accepted: send a continuation request.
    ContinueLiteral,
    /// An APPEND has come as far as a message's literal: answer with [`Decoder::accept_message`] or
    /// [`Decoder::refuse_message`]. `needs_continue`: it is synchronising, so that acceptance comes with a
    /// continuation request, and after a refusal the next line is a command (RFC 7888 §4). A non-synchronising one
    /// that is refused is swallowed, with the rest of its command.
    Append { tag: Tag, header: AppendHeader, needs_continue: bool },
    /// More of the message's bytes. Only after `accept_message`.
    MessageData(Bytes),
    /// The message's bytes are complete. The command ends with `Command(AppendDone)`, or goes on with
    /// another `Append` (MULTIAPPEND, RFC 3502).
    MessageEnd,
    /// A line that answers a continuation request (AUTHENTICATE, IDLE), without its line break.
    Line(Bytes),
    /// Not a command. `tag` is `None` when there is none to answer to (then `* BAD`).
    Bad { tag: Option<Tag>, reason: String },
    /// Not a command, and no way to find where the next one begins: say BYE and close.
    Fatal { reason: String },
}

#[cfg(test)]
mod tests;
