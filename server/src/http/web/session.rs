//! Who is logged in: a signed cookie, nothing on the server.

use super::page::{PageError, PageResult};
use crate::http::app::{App, Shared};
use crate::http::token::Purpose;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use gadwall_storage::Account;

const COOKIE: &str = "gadwall_session";
/// How long a login lasts, in seconds. It ends earlier with the account or with its password.
const LIFETIME_SECS: i64 = 7 * 24 * 3600;

/// The account that is logged in; without one the browser is sent to the login page.
pub struct Visitor(pub Account);

/// The account that is logged in, if any.
pub struct MaybeVisitor(pub Option<Account>);

impl FromRequestParts<Shared> for MaybeVisitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> PageResult<Self> {
        match cookie(&parts.headers) {
            Some(token) => Ok(MaybeVisitor(app.open_token(Purpose::Session, token).await?)),
            None => Ok(MaybeVisitor(None)),
        }
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> PageResult<Self> {
        MaybeVisitor::from_request_parts(parts, app).await?.0.map(Visitor).ok_or(PageError::LogIn)
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

impl App {
    /// The header that logs a browser in.
    pub async fn session_cookie(&self, account: &Account) -> PageResult<HeaderValue> {
        let token = self.issue_token(Purpose::Session, account, LIFETIME_SECS).await?;
        Ok(self.set_cookie(&token, LIFETIME_SECS))
    }

    /// The header that logs it out.
    pub fn no_cookie(&self) -> HeaderValue {
        self.set_cookie("", 0)
    }

    fn set_cookie(&self, value: &str, max_age: i64) -> HeaderValue {
        let secure = if self.is_https() { "; Secure" } else { "" };
        let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}");
        HeaderValue::from_str(&cookie).expect("a token is hexadecimal digits and dots")
    }
}
