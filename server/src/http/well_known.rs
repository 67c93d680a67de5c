//! What an authority asks to see whether a name is ours (RFC 8555 §8.3).

use super::app::Shared;
use super::error::{ApiError, Result};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;

/// The answer to HTTP-01, whichever node was challenged.
pub async fn acme_challenge(
    State(app): State<Shared>,
    Path(token): Path<String>,
) -> Result<impl IntoResponse> {
    let answers = match &app.services.acme {
        Some(shelf) => shelf.answers().await?,
        None => Vec::new(),
    };
    let answer = answers.into_iter().find(|answer| answer.token() == token);
    let answer =
        answer.ok_or_else(|| ApiError::not_found("NoChallenge", "nobody was challenged with this"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], answer.key_authorization))
}
