//! Keeps other sites from making a browser change something here.

use super::error::ApiError;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses a change that a browser sends on behalf of another site. Programs send neither header and pass; browsers
/// too old to send them are held off by the cookie's `SameSite=Lax`.
pub async fn guard(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && !is_own(request.headers()) {
        return ApiError::new(
            axum::http::StatusCode::FORBIDDEN,
            "CrossSite",
            "a change asked for by another web site is refused",
        )
        .into_response();
    }
    next.run(request).await
}

fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, host)| host);
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    origin.is_some() && origin == host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_site_and_programs_pass() {
        for (name, value, passes) in [
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("origin", "http://localhost:8025", true),
            ("origin", "http://localhost:8026", false),
            ("origin", "null", false),
            ("accept", "*/*", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:8025".parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_own(&headers), passes, "{name}: {value}");
        }
    }
}
