//! Bodies and queries as typed values, with errors of our own form.

use super::app::Shared;
use super::error::{ApiError, Result};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// Largest JSON body, in bytes (`submit` apart).
const JSON_LIMIT: usize = 1 << 20;

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
    axum::body::to_bytes(request.into_body(), limit).await.map_err(|_| {
        let message = format!("a body that broke off or is longer than {limit} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message)
    })
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
