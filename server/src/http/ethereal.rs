//! `POST /user`, as Nodemailer's `createTestAccount` asks for it.

use super::access::{Caller, MaybeCaller};
use super::app::{App, Shared};
use super::client::Client;
use super::error::{ApiError, Result};
use crate::accounts::{self, AccountRequest, CreatedAccount};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// How much of a request body is read before it is ignored, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// Makes an account. The body says who asks and is of no consequence; clients send JSON, `{}` or nothing.
pub async fn create(
    State(app): State<Shared>,
    client: Client,
    caller: Result<MaybeCaller, ApiError>,
    request: Request,
) -> Response {
    let made = async {
        let caller = match caller {
            // Clients send the key they have for another server; where none is needed, none is wrong.
            Err(e) if e.status == StatusCode::UNAUTHORIZED && app.config.api_key.is_none() => {
                MaybeCaller(None)
            }
            caller => caller?,
        };
        super::input::limited(request, BODY_LIMIT).await?;
        app.make_account(client, caller.0.as_ref(), AccountRequest::default()).await
    };
    match made.await {
        Ok(made) => Json(json!({
            "status": "success",
            "user": made.account.address.as_str(),
            "pass": made.password,
            "smtp": app.config.smtp,
            "imap": app.config.imap,
            "pop3": app.config.pop3,
            "web": app.config.web,
            "mxEnabled": app.config.mx_enabled,
        }))
        .into_response(),
        Err(e) => {
            let body = json!({ "status": "error", "error": e.message, "code": e.code });
            let mut response = Json(body).into_response();
            e.decorate(&mut response);
            response
        }
    }
}

impl App {
    /// Whether `client` may make an account now. Callers without a token count against the hourly limit, unless they
    /// are on this machine.
    pub async fn admit(&self, client: Client, caller: Option<&Caller>) -> Result<()> {
        if caller.is_some_and(Caller::is_operator) {
            return Ok(());
        }
        if self.config.api_key.is_some() {
            return Err(ApiError {
                message: "making accounts needs the API key as a bearer token".into(),
                ..ApiError::unauthorized()
            });
        }
        if client.is_local {
            return Ok(());
        }
        self.accounts_made.take(client.ip).await.map_err(|wait| {
            let message = format!("too many new accounts from {}, try again later", client.ip);
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "RateLimited", message).after(wait)
        })
    }

    pub async fn make_account(
        &self,
        client: Client,
        caller: Option<&Caller>,
        request: AccountRequest,
    ) -> Result<CreatedAccount> {
        self.admit(client, caller).await?;
        let (services, defaults) = (&self.services, &self.config.defaults);
        Ok(accounts::create(&*services.store, &services.env, defaults, services.env.op(), request).await?)
    }
}
