//! What balancers and start scripts ask.

use super::app::Shared;
use super::error::ApiError;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

/// A store that does not answer for so long is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers.
pub async fn live() -> Json<Value> {
    Json(json!({ "success": true, "status": "live" }))
}

/// Every listener serves, the store answers, and the server does not drain.
pub async fn ready(State(app): State<Shared>) -> Result<Json<Value>, ApiError> {
    let not_ready = |why: String| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "NotReady", why).after(Duration::from_secs(1))
    };
    if !*app.serving.borrow() {
        return Err(not_ready("the server is starting or stopping".into()));
    }
    match tokio::time::timeout(PATIENCE, app.services.store.ready()).await {
        Ok(Ok(())) => Ok(Json(json!({ "success": true, "status": "ready" }))),
        Ok(Err(e)) => Err(not_ready(format!("the store is not ready: {e}"))),
        Err(_) => Err(not_ready("the store does not answer".into())),
    }
}
