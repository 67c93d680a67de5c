//! The IMAP engine: IMAP4rev1 (RFC 3501) and extensions.
//!
//! `decode` makes typed commands of bytes and `encode` bytes of typed responses, both pure; `session` executes
//! commands against the store through a [`view::View`] of the selected mailbox; `driver` owns the stream.

pub mod decode;
pub mod mutf7;
pub mod types;
use crate::Services;
use crate::net::Conn;
use std::sync::Arc;

/// Serves one connection until it ends.
pub async fn serve(_conn: Conn, _services: Arc<Services>) {
    unimplemented!()
}
