//! Bodies and queries as typed values, with errors of our own form.

use super::app::Shared;
use super::error::{ApiError, Result};
use crate::net::Pace;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest JSON body, in bytes (`submit` apart).
const JSON_LIMIT: usize = 1 << 20;

/// How long a body's end, or the next [`Pace::BLOCK`] of it, may take.
const BODY_STALL: Duration = Duration::from_secs(60);

/// A JSON body; none at all counts as `{}`. The content type is not looked at: `curl -d` gets it wrong.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Shared) -> Result<Self> {
        let body = limited(request, JSON_LIMIT).await?;
        let body: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body).map(JsonBody).map_err(|e| ApiError::input(format!("the JSON body: {e}")))
    }
}

/// The whole body, if it is not longer than `limit` bytes.
pub async fn limited(request: Request, limit: usize) -> Result<Bytes> {
    let mut body = Incoming::new(request);
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await? {
        if bytes.len() + piece.len() > limit {
            let message = format!("a body of more than {limit} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// A body on its way.
pub struct Incoming {
    body: Body,
    pace: Pace,
}

impl Incoming {
    pub fn new(request: Request) -> Self {
        Self { body: request.into_body(), pace: Pace::new(BODY_STALL) }
    }

    /// The next piece. A body that stops coming, or only trickles, is given up.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame =
                tokio::time::timeout_at(self.pace.deadline(), self.body.frame()).await.map_err(|_| {
                    let message = format!("too little came of the body in {} seconds", BODY_STALL.as_secs());
                    ApiError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message)
                })?;
            match frame {
                None => return Ok(None),
                Some(Err(e)) => return Err(ApiError::input(format!("the body broke off: {e}"))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.pace.received(data.len());
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// The query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Params(params))
            .map_err(|e| ApiError::input(format!("the query: {}", e.body_text())))
    }
}
