//! IMAP commands as a client makes them: strategies for the typed form, and a writer that knows every way to spell one.

mod command;
mod decoded;
mod fetch;
mod names;
mod search;
mod write;
mod write_mailboxes;
mod write_messages;
mod write_searches;

pub use command::{Append, Content, Message, Part, Sent, append, command, commands, tag};
pub use decoded::{decode_in_pieces, split};
pub use names::{bytes, flags, mailbox, sequence_set};
pub use write::{Spelling, Writer, spelling};
