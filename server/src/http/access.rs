//! Who asks: HTTP Basic with an account's password, or a token.

use super::app::{App, Shared};
use super::client::Client;
use super::error::{ApiError, Result};
use super::token::Purpose;
use axum::extract::{FromRequestParts, Query};
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::Account;
use subtle::ConstantTimeEq;

/// The one who asks, known by what it presented.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Runs the server: everything is open.
    Admin,
    /// Has the API key: may make, list, change and delete accounts, not read their mail.
    ApiKey,
    Account(Box<Account>),
}

impl Caller {
    /// Whether it may set what users may not set for themselves, such as quotas.
    pub fn is_operator(&self) -> bool {
        matches!(self, Caller::Admin | Caller::ApiKey)
    }
}

#[derive(serde::Deserialize)]
struct TokenParam {
    #[serde(rename = "accessToken")]
    access_token: Option<String>,
}

/// The caller, if the request says who it is. Wrong credentials are an error, none are `None`.
pub struct MaybeCaller(pub Option<Caller>);

impl FromRequestParts<Shared> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(MaybeCaller(Some(caller.clone())));
        }
        let caller = identify(parts, app).await?;
        if let Some(caller) = &caller {
            parts.extensions.insert(caller.clone());
        }
        Ok(MaybeCaller(caller))
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        MaybeCaller::from_request_parts(parts, app).await?.0.ok_or_else(ApiError::unauthorized)
    }
}

async fn identify(parts: &mut Parts, app: &Shared) -> Result<Option<Caller>> {
    let of = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    if parts.headers.contains_key(header::AUTHORIZATION) {
        // Bytes beyond ASCII are in no credentials of ours (RFC 7617 §2 has base64).
        let authorization = of(header::AUTHORIZATION.as_str()).ok_or_else(ApiError::unauthorized)?;
        let (scheme, rest) = authorization.split_once(' ').unwrap_or((&authorization, ""));
        // RFC 9110 §11.1: the scheme is compared without case.
        return match scheme.to_ascii_lowercase().as_str() {
            "bearer" => app.caller_of_token(rest.trim()).await.map(Some),
            "basic" => {
                let Ok(client) = Client::from_request_parts(parts, app).await;
                app.caller_of_password(client, rest.trim()).await.map(Some)
            }
            _ => Err(ApiError::unauthorized()),
        };
    }
    let token = of("x-access-token")
        .or_else(|| Query::<TokenParam>::try_from_uri(&parts.uri).ok().and_then(|Query(p)| p.access_token));
    match token {
        Some(token) => app.caller_of_token(&token).await.map(Some),
        None => Ok(None),
    }
}

impl App {
    pub async fn caller_of_token(&self, token: &str) -> Result<Caller> {
        let same = |known: &str| !known.is_empty() && bool::from(known.as_bytes().ct_eq(token.as_bytes()));
        if same(&self.config.admin_token) {
            return Ok(Caller::Admin);
        }
        if self.config.api_key.as_deref().is_some_and(same) {
            return Ok(Caller::ApiKey);
        }
        let account = self.open_token(Purpose::Api, token).await?;
        account.map(|a| Caller::Account(Box::new(a))).ok_or_else(|| ApiError {
            message: "this access token is wrong or has expired".into(),
            code: "InvalidToken",
            ..ApiError::unauthorized()
        })
    }

    async fn caller_of_password(&self, client: Client, encoded: &str) -> Result<Caller> {
        // RFC 7617 §2: user and password, in UTF-8, joined by the first colon.
        let decoded = STANDARD.decode(encoded).ok().and_then(|d| String::from_utf8(d).ok());
        let (login, password) =
            decoded.as_deref().and_then(|d| d.split_once(':')).ok_or_else(ApiError::unauthorized)?;
        let account = self.services.auth.login(client.ip, login, password).await?;
        Ok(Caller::Account(Box::new(account)))
    }
}
