//! Bytes to typed commands.

use super::types::{AppendHeader, Tag, Tagged};
use bytes::Bytes;

/// What came out of the client's bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A whole command.
    Command(Tagged),
    /// A command's (not a message's) synchronising literal was accepted: send a continuation request.
    ContinueLiteral,
    /// An APPEND has come as far as a message's literal. `needs_continue`: it is synchronising: the session
    /// answers with [`Decoder::accept_message`] after sending a continuation request, or with
    /// [`Decoder::refuse_message`] after a tagged NO (RFC 7888 §4: then the next line is a command). A
    /// non-synchronising one that is refused is swallowed, with the rest of its command.
    Append { tag: Tag, header: AppendHeader, needs_continue: bool },
    /// More of the message's bytes. Only after `accept_message`.
    MessageData(Bytes),
    /// The message's bytes are complete. The command ends with `Command(AppendDone)`, or goes on with
    /// another `Append` (MULTIAPPEND).
    MessageEnd,
    /// A line that answers a continuation request (AUTHENTICATE, IDLE), without its line break.
    Line(Bytes),
    /// Not a command. `tag` is `None` when there is none to answer to (then `* BAD`).
    Bad { tag: Option<Tag>, reason: String },
    /// Not a command, and no way to find where the next one begins: say BYE and close.
    Fatal { reason: String },
}
