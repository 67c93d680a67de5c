//! Making an account with one click, and its credentials, which are shown this once.

use super::doors::DoorRow;
use super::form::FormBody;
use super::page::{Frame, PageResult, render};
use super::session::MaybeVisitor;
use super::snippets::{Snippet, snippets};
use crate::accounts::AccountRequest;
use crate::http::app::Shared;
use crate::http::client::Client;
use crate::time::rfc3339;
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "create.html")]
struct CreatePage {
    frame: Frame,
    needs_key: bool,
}

#[derive(Template)]
#[template(path = "created.html")]
struct CreatedPage<'a> {
    frame: Frame,
    user: &'a str,
    password: &'a str,
    expires: Option<String>,
    doors: Vec<DoorRow<'a>>,
    snippets: Vec<Snippet>,
}

pub async fn form(State(app): State<Shared>, MaybeVisitor(visitor): MaybeVisitor) -> Response {
    let frame = Frame::new("New account", visitor.as_ref());
    render(&CreatePage { frame, needs_key: app.config.api_key.is_some() })
}

#[derive(Deserialize)]
pub struct Key {
    key: Option<String>,
}

pub async fn create(
    State(app): State<Shared>,
    client: Client,
    FormBody(Key { key }): FormBody<Key>,
) -> PageResult {
    let key = key.unwrap_or_default();
    // The key may come from the form here, since a browser sends no bearer token.
    let caller = if key.is_empty() { None } else { Some(app.caller_of_token(&key).await?) };
    let made = app.make_account(client, caller.as_ref(), AccountRequest::default()).await?;
    let config = &app.config;
    let (user, password) = (made.account.address.as_str(), made.password.as_str());
    let mut response = render(&CreatedPage {
        frame: Frame::new("Your new account", Some(&made.account)),
        user,
        password,
        expires: made.account.expires_at.map(super::format::moment),
        doors: app.door_rows(),
        snippets: snippets(config, user, password),
    });
    response.headers_mut().insert(header::SET_COOKIE, app.session_cookie(&made.account).await?);
    Ok(response)
}

#[derive(Deserialize)]
pub struct Credentials {
    user: String,
    pass: String,
}

/// The credentials as a file: they come from the page, as the server does not know the password any more.
pub async fn csv(State(app): State<Shared>, FormBody(form): FormBody<Credentials>) -> PageResult {
    let config = &app.config;
    let mut out = "Description,Username,Password,Hostname,Port,Security\r\n".to_owned();
    for (name, door) in [("SMTP", &config.smtp), ("IMAP", &config.imap), ("POP3", &config.pop3)] {
        let security = app.security(door);
        let row = [name, &form.user, &form.pass, &door.host, &door.port.to_string(), security].map(field);
        out.push_str(&row.join(","));
        out.push_str("\r\n");
    }
    out.push_str(&["Made", &rfc3339(app.services.env.clock.now()), "", "", "", ""].map(field).join(","));
    out.push_str("\r\n");
    let mut response = out.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = HeaderValue::from_static("attachment; filename=\"gadwall-account.csv\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// RFC 4180 §2; a leading sign that makes spreadsheets compute is kept from doing so.
fn field(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}
