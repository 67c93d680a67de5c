//! What all pages share: their policy, their frame, their error page.

use crate::http::app::Shared;
use crate::http::error::ApiError;
use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use gadwall_storage::StoreError;

/// Nothing but our own style, script, pictures and frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The frame around every page.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    pub title: String,
    /// The address of the account logged in.
    pub who: Option<String>,
}

impl Frame {
    pub fn new(title: impl Into<String>, who: Option<&gadwall_storage::Account>) -> Self {
        Self { title: title.into(), who: who.map(|a| a.address.to_string()) }
    }
}

/// Why there is no page.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is logged in, so here is the way to do it.
    LogIn,
    Told(Box<ApiError>),
}

pub type PageResult<T = Response> = Result<T, PageError>;

impl From<ApiError> for PageError {
    fn from(e: ApiError) -> Self {
        PageError::Told(Box::new(e))
    }
}

impl From<StoreError> for PageError {
    fn from(e: StoreError) -> Self {
        ApiError::from(e).into()
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    heading: &'static str,
    message: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let e = match self {
            PageError::LogIn => return Redirect::to("/login").into_response(),
            PageError::Told(e) => e,
        };
        let heading = match e.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
            StatusCode::TOO_MANY_REQUESTS => "Not so fast",
            _ => "That did not work",
        };
        let frame = Frame::new(heading, None);
        let mut response = render(&ErrorPage { frame, heading, message: e.message.clone() });
        e.decorate(&mut response);
        // A browser would ask for the password in a box of its own.
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
        response
    }
}

/// A page under the policy.
pub fn render(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = axum::response::Html(html).into_response();
            let policy = HeaderValue::from_static(POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        Err(e) => {
            tracing::error!(error = %e, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Plain text under the engine's strictest policy.
pub fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The answer for paths that are none: a page for browsers, JSON for programs.
pub async fn not_found(_: axum::extract::State<Shared>, request: Request) -> Response {
    let e = ApiError::not_found("NotFound", "there is nothing at this address");
    let accept = request.headers().get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { PageError::from(e).into_response() } else { e.into_response() }
}
