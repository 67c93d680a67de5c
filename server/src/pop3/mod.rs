//! The POP3 engine: RFC 1939 with CAPA and response codes (RFC 2449, RFC 3206), STLS (RFC 2595), AUTH (RFC 5034) and
//! UTF8 (RFC 6856).
//!
//! `decode` and `command` make commands of bytes, `reply` and `stuff` make bytes of responses, all of them pure.
//! `session` executes a command against the store, `driver` owns the stream. What POP3 does not know: other mailboxes
//! than INBOX, flags, and mail that came after login.

mod command;
mod decode;
mod driver;
mod lease;
mod maildrop;
mod reply;
mod session;
mod stuff;
#[cfg(test)]
mod tests;

pub use driver::serve;
pub use maildrop::Maildrops;
