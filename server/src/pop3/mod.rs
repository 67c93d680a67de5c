//! The POP3 engine.

use crate::Services;
use crate::net::Conn;
use std::sync::Arc;

/// Serves one connection until it ends.
pub async fn serve(_conn: Conn, _services: Arc<Services>) {
    unimplemented!()
}
