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
mod metadata;
mod notify;
mod search;
mod sort;
mod url;

pub use cursor::is_atom_char;
pub use framing::{Decoder, Limits};
pub use search::search_criteria;
pub use url::message_url;

use super::types::{AppendPiece, Tag, Tagged};
use bytes::Bytes;

/// What came out of the client's bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A whole command.
    Command(Tagged),
    /// A command's (not a message's) synchronising literal was accepted: send a continuation request.
    ContinueLiteral,
    /// An APPEND or REPLACE has come as far as a literal of `size` bytes that is a message or a part of one, after `pieces`:
    /// answer with [`Decoder::accept_message`] or [`Decoder::refuse_message`]. `needs_continue`: it is synchronising, so that acceptance comes with a
    /// continuation request, and after a refusal the next line is a command (RFC 7888 §4). A non-synchronising one
    /// that is refused is swallowed, with the rest of its command.
    Append { tag: Tag, pieces: Vec<AppendPiece>, size: u64, needs_continue: bool },
    /// More of the message's bytes. Only after `accept_message`.
    MessageData(Bytes),
    /// The literal is complete. The command ends with a `Command(Append)`, or goes on with another `Append`
    /// (MULTIAPPEND, CATENATE).
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
