//! The IMAP engine, in layers: `decode` (bytes to typed commands, no async), `session` (commands against
//! the store, responses to an outbox), `encode` (typed responses to bytes) and `conn` (the stream, time-outs,
//! TLS, hints).

pub mod decode;
pub mod types;

use crate::Services;
use crate::net::Conn;
use std::sync::Arc;

/// Serves one connection until it ends.
pub async fn serve(_conn: Conn, _services: Arc<Services>) {
    unimplemented!()
}
