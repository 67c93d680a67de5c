//! One HTTP connection, driven by hyper.

use super::stall::Impatient;
use crate::net::Conn;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a client may take to send a request's header, the first or the next one on a kept connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that takes nothing of an answer for so long is dropped: hyper would wait for ever.
const WRITE_STALL: Duration = Duration::from_secs(120);
/// Longest header block, in bytes.
const HEADER_LIMIT: usize = 64 << 10;

/// Cancelled when the connection is asked to leave: what would wait or go on for ever ends then.
#[derive(Debug, Clone, Default)]
pub struct Drain(pub CancellationToken);

impl<S: Sync> FromRequestParts<S> for Drain {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Serves HTTP/1.1 on one connection until it ends or the server drains.
pub async fn serve(conn: Conn, router: axum::Router) {
    let router = router
        .layer(axum::Extension(ConnectInfo(conn.peer)))
        .layer(axum::Extension(Drain(conn.drain.clone())));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_LIMIT)
        .serve_connection(
            TokioIo::new(Impatient::new(conn.io, WRITE_STALL)),
            TowerToHyperService::new(router),
        );
    let mut serving = std::pin::pin!(serving);
    let result = tokio::select! {
        biased;
        result = &mut serving => result,
        () = conn.drain.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(e) = result {
        tracing::debug!(error = %e, "connection ended");
    }
}
