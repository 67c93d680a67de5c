//! Accounts: logging in, making, listing, changing, deleting them.

use crate::accounts::AccountRequest;
use crate::http::access::{Caller, MaybeCaller};
use crate::http::app::{App, Shared};
use crate::http::client::Client;
use crate::http::error::{ApiError, Result};
use crate::http::input::{JsonBody, Params};
use crate::http::place::{AccountPlace, Op};
use crate::http::token::Purpose;
use crate::http::view;
use axum::Json;
use axum::extract::{Path, State};
use gadwall_storage::{Account, AccountId, AccountUpdate, Address};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a token of `/authenticate` is good for, in seconds.
const TOKEN_LIFETIME_SECS: i64 = 24 * 3600;
/// Longest display name and password, in bytes.
const NAME_LIMIT: usize = 255;
const PASSWORD_LIMIT: usize = 256;
/// Most accounts on a page.
const PAGE_LIMIT: usize = 250;

#[derive(Deserialize)]
pub struct Login {
    username: String,
    password: String,
}

pub async fn authenticate(
    State(app): State<Shared>,
    client: Client,
    JsonBody(login): JsonBody<Login>,
) -> Result<Json<Value>> {
    let account = app.services.auth.login(client.ip, &login.username, &login.password).await?;
    let token = app.issue_token(Purpose::Api, &account, TOKEN_LIFETIME_SECS).await?;
    Ok(Json(json!({
        "success": true,
        "id": account.id.to_string(),
        "username": account.address.as_str(),
        "token": token,
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    address: Option<String>,
    name: Option<String>,
    password: Option<String>,
    /// 0: for ever.
    lifetime_secs: Option<u64>,
    quota: Option<u64>,
}

pub async fn create(
    State(app): State<Shared>,
    client: Client,
    MaybeCaller(caller): MaybeCaller,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<Json<Value>> {
    let operator = client.is_local || caller.as_ref().is_some_and(Caller::is_operator);
    let request = AccountRequest {
        address: new.address.as_deref().map(address).transpose()?,
        name: new.name.map(name).transpose()?,
        password: new.password.map(password).transpose()?,
        quota_bytes: new.quota,
        lifetime: new.lifetime_secs.map(lifetime),
    };
    // Accounts of strangers that never expire are what buried others of this kind.
    if !operator && (request.quota_bytes.is_some() || outlives(&app, request.lifetime)) {
        return Err(ApiError::forbidden("a quota or a lifetime beyond the default needs the API key"));
    }
    let made = app.make_account(client, caller.as_ref(), request).await?;
    let mut body = view::account(&made.account);
    body["success"] = true.into();
    body["password"] = made.password.into();
    Ok(Json(body))
}

fn outlives(app: &App, wanted: Option<Option<Duration>>) -> bool {
    match (wanted, app.config.defaults.lifetime) {
        (None, _) | (_, None) => false,
        (Some(None), Some(_)) => true,
        (Some(Some(wanted)), Some(usual)) => wanted > usual,
    }
}

fn lifetime(secs: u64) -> Option<Duration> {
    (secs > 0).then(|| Duration::from_secs(secs))
}

/// An address given by a client.
pub fn address(text: &str) -> Result<Address> {
    let bad = |e: &dyn std::fmt::Display| ApiError::input(format!("address {text:?}: {e}"));
    let address = Address::parse(text).map_err(|e| bad(&e))?;
    match address.without_detail() {
        // Mail for user+detail goes to user: an account of that name would never get any.
        Some(_) => Err(bad(&"a +detail is not part of an account's address")),
        None => Ok(address),
    }
}

fn name(text: String) -> Result<String> {
    let ok = text.len() <= NAME_LIMIT && !text.chars().any(char::is_control);
    if ok { Ok(text) } else { Err(ApiError::input("name: at most 255 bytes, no control characters")) }
}

fn password(text: String) -> Result<String> {
    let ok = (1..=PASSWORD_LIMIT).contains(&text.len()) && !text.chars().any(char::is_control);
    if ok { Ok(text) } else { Err(ApiError::input("password: 1 to 256 bytes, no control characters")) }
}

#[derive(Deserialize)]
pub struct Page {
    limit: Option<usize>,
    next: Option<String>,
}

pub async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<Value>> {
    if !caller.is_operator() {
        return Err(ApiError::forbidden("listing accounts needs the API key or the admin token"));
    }
    let after = page.next.map(|n| n.parse::<AccountId>().map_err(|_| ApiError::input("next: not a cursor")));
    let limit = page.limit.unwrap_or(20).clamp(1, PAGE_LIMIT);
    let mut accounts = app.services.store.accounts(after.transpose()?, limit + 1).await?;
    let more = accounts.len() > limit;
    accounts.truncate(limit);
    let next = accounts.last().filter(|_| more).map(|a| a.id.to_string());
    let results: Vec<Value> = accounts.iter().map(view::account).collect();
    Ok(Json(json!({ "success": true, "results": results, "nextCursor": next })))
}

pub async fn resolve(
    State(app): State<Shared>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<Value>> {
    let wanted = Address::parse(&text).map_err(|e| ApiError::input(format!("address {text:?}: {e}")))?;
    let account = app.services.store.account_by_address(&wanted).await;
    let account = match (caller, account) {
        // Others' addresses are not told, not even that they exist.
        (Caller::Account(own), found) => match found {
            Ok(account) if account.id == own.id => account,
            _ => return Err(ApiError::forbidden("this is not your account")),
        },
        (_, found) => found?,
    };
    Ok(Json(json!({ "success": true, "id": account.id.to_string() })))
}

pub async fn show(place: AccountPlace) -> Json<Value> {
    success(view::account(&place.account))
}

pub async fn storage(place: AccountPlace) -> Json<Value> {
    let Account { quota_bytes, used_bytes, .. } = place.account;
    Json(json!({
        "success": true,
        "quota": quota_bytes,
        "used": used_bytes,
        "free": quota_bytes.saturating_sub(used_bytes),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserUpdate {
    name: Option<String>,
    password: Option<String>,
    quota: Option<u64>,
    /// From now; 0: for ever.
    lifetime_secs: Option<u64>,
    /// 0: as long as the account.
    retention_secs: Option<u64>,
}

pub async fn update(
    State(app): State<Shared>,
    place: AccountPlace,
    client: Client,
    op: Op,
    JsonBody(wanted): JsonBody<UserUpdate>,
) -> Result<Json<Value>> {
    let operator = client.is_local || place.caller.is_operator();
    let limits = wanted.quota.is_some() || wanted.lifetime_secs.is_some() || wanted.retention_secs.is_some();
    if limits && !operator {
        return Err(ApiError::forbidden("quota and lifetimes are changed with the API key"));
    }
    let credentials = match wanted.password.map(password).transpose()? {
        Some(password) => Some(app.services.env.credentials(password).await?),
        None => None,
    };
    let now = app.services.env.clock.now();
    let update = AccountUpdate {
        name: wanted.name.map(name).transpose()?,
        credentials,
        quota_bytes: wanted.quota,
        expires_at: wanted.lifetime_secs.map(|secs| lifetime(secs).map(|d| now.after(d))),
        retention_secs: wanted.retention_secs.map(|secs| (secs > 0).then_some(secs)),
    };
    let account = app.services.store.update_account(op.id, place.account.id, update).await?;
    Ok(success(view::account(&account)))
}

pub async fn delete(State(app): State<Shared>, place: AccountPlace, op: Op) -> Result<Json<Value>> {
    app.services.store.delete_account(op.id, place.account.id).await?;
    Ok(Json(json!({ "success": true })))
}

/// `value` with `success: true` in it.
pub fn success(mut value: Value) -> Json<Value> {
    value["success"] = true.into();
    Json(value)
}
