//! Logging in and out.

use super::form::FormBody;
use super::page::{Frame, PageError, PageResult, render};
use super::session::MaybeVisitor;
use crate::auth::AuthError;
use crate::http::app::Shared;
use crate::http::client::Client;
use crate::http::error::ApiError;
use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    user: String,
    error: Option<String>,
}

pub async fn form(MaybeVisitor(visitor): MaybeVisitor) -> Response {
    let user = visitor.as_ref().map(|a| a.address.to_string()).unwrap_or_default();
    render(&LoginPage { frame: Frame::new("Log in", visitor.as_ref()), user, error: None })
}

#[derive(Deserialize)]
pub struct Login {
    user: String,
    pass: String,
}

pub async fn login(
    State(app): State<Shared>,
    client: Client,
    FormBody(login): FormBody<Login>,
) -> PageResult {
    match app.services.auth.login(client.ip, login.user.trim(), &login.pass).await {
        Ok(account) => {
            let mut response = Redirect::to("/messages").into_response();
            response.headers_mut().insert(header::SET_COOKIE, app.session_cookie(&account).await?);
            Ok(response)
        }
        Err(AuthError::Store(e)) => Err(PageError::from(e)),
        Err(e) => {
            let error = ApiError::from(e);
            let mut response = render(&LoginPage {
                frame: Frame::new("Log in", None),
                user: login.user,
                error: Some(error.message.clone()),
            });
            error.decorate(&mut response);
            response.headers_mut().remove(header::WWW_AUTHENTICATE);
            Ok(response)
        }
    }
}

pub async fn logout(State(app): State<Shared>) -> Response {
    let mut response = Redirect::to("/").into_response();
    response.headers_mut().insert(header::SET_COOKIE, app.no_cookie());
    response
}
