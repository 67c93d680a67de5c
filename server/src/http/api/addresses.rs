//! The addresses of an account.

use super::accounts::address;
use crate::http::app::Shared;
use crate::http::error::{ApiError, Result};
use crate::http::input::JsonBody;
use crate::http::place::{AccountPlace, Op};
use axum::Json;
use axum::extract::{Path, State};
use gadwall_storage::Address;
use serde::Deserialize;
use serde_json::{Value, json};

pub async fn list(State(app): State<Shared>, place: AccountPlace) -> Result<Json<Value>> {
    let addresses = app.services.store.addresses(place.account.id).await?;
    let results: Vec<Value> = addresses
        .iter()
        .map(|a| json!({ "address": a.as_str(), "main": *a == place.account.address }))
        .collect();
    Ok(Json(json!({ "success": true, "results": results })))
}

#[derive(Deserialize)]
pub struct NewAddress {
    address: String,
}

pub async fn add(
    State(app): State<Shared>,
    place: AccountPlace,
    op: Op,
    JsonBody(new): JsonBody<NewAddress>,
) -> Result<Json<Value>> {
    let address = address(&new.address)?;
    app.services.store.add_address(op.id, place.account.id, &address).await?;
    Ok(Json(json!({ "success": true, "address": address.as_str() })))
}

pub async fn remove(
    State(app): State<Shared>,
    place: AccountPlace,
    op: Op,
    Path((_, text)): Path<(String, String)>,
) -> Result<Json<Value>> {
    let wanted = Address::parse(&text).map_err(|e| ApiError::input(format!("address {text:?}: {e}")))?;
    app.services.store.remove_address(op.id, place.account.id, &wanted).await?;
    Ok(Json(json!({ "success": true })))
}
