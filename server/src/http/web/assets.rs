//! Style, script and icon, embedded in the binary.

use super::page::{PageError, PageResult};
use crate::http::error::ApiError;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "assets/"]
struct Assets;

pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> PageResult {
    let missing = || PageError::from(ApiError::not_found("NotFound", "there is no such file"));
    let asset = Assets::get(&file).ok_or_else(missing)?;
    let kind = match file.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(missing()),
    };
    let digest: String = asset.metadata.sha256_hash()[..8].iter().map(|b| format!("{b:02x}")).collect();
    let tag = format!("\"{digest}\"");
    let fresh = headers.get(header::IF_NONE_MATCH).is_some_and(|t| t.as_bytes() == tag.as_bytes());
    let cache = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    Ok(if fresh {
        (StatusCode::NOT_MODIFIED, cache).into_response()
    } else {
        let body = axum::body::Bytes::from(asset.data.into_owned());
        (cache, [(header::CONTENT_TYPE, kind)], body).into_response() as Response
    })
}
