//! The IMAP engine: IMAP4rev1 (RFC 3501) and extensions.
//!
//! `decode` makes typed commands of bytes and `encode` bytes of typed responses, both pure; `session` executes
//! commands against the store through a [`view::View`] of the selected mailbox; `driver` owns the stream.

mod collate;
mod compress;
pub mod decode;
mod driver;
pub mod encode;
mod fuzzy;
pub mod mutf7;
mod search;
mod session;
mod sort;
mod thread;
pub mod types;
pub mod view;
mod wire;

pub use driver::serve;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod tests;
