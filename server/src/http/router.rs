//! All routes.

use super::app::{App, Shared};
use super::error::ApiError;
use super::{HttpConfig, api, csrf, ethereal, health, web, well_known};
use crate::Services;
use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// All routes. `serving` turns true once every listener serves, and false again when the server drains.
pub fn router(
    services: Arc<Services>,
    config: HttpConfig,
    serving: tokio::sync::watch::Receiver<bool>,
) -> Router {
    let app = App::new(services, config, serving);
    basics()
        .merge(api::routes())
        .merge(web::routes())
        .fallback(web::not_found)
        .method_not_allowed_fallback(other_method)
        .layer(axum::middleware::map_response(harden))
        .layer(axum::middleware::from_fn(csrf::guard))
        .with_state(app)
}

fn basics() -> Router<Shared> {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/user", post(ethereal::create))
        .route("/.well-known/acme-challenge/{token}", get(well_known::acme_challenge))
}

/// The `Allow` header is axum's to add.
async fn other_method(method: Method) -> Response {
    // RFC 9110 §9.3.7. There is no CORS: that is all there is to tell.
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = format!("{method} is not possible here");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).into_response()
}

/// What every answer says, unless its handler said otherwise.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
