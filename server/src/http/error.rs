//! The one mapping from what went wrong to what an HTTP client sees.

use crate::auth::AuthError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gadwall_storage::{StoreError, Subject};
use std::time::Duration;

/// Told to a client that should come back and was not told when by the store.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error as the API tells it: `{"error": message, "code": code}`.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    pub retry_after: Option<Duration>,
}

pub type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// Something in the request is not as it must be.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InputValidationError", message)
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub fn unauthorized() -> Self {
        let message = "log in: HTTP Basic with the account's address and password, or a bearer token";
        Self::new(StatusCode::UNAUTHORIZED, "AuthRequired", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The headers that go with it, whatever the body looks like.
    pub fn decorate(&self, response: &mut Response) {
        *response.status_mut() = self.status;
        if let Some(wait) = self.retry_after {
            // RFC 9110 §10.2.3: whole seconds; rounded up, so that it is not too early.
            let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2: a 401 carries a challenge.
            let challenge = HeaderValue::from_static("Basic realm=\"gadwall\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.message, "code": self.code });
        let mut response = axum::Json(body).into_response();
        self.decorate(&mut response);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        let message = e.to_string();
        match e {
            StoreError::NotFound(subject) => Self::not_found(
                match subject {
                    Subject::Account => "UserNotFound",
                    Subject::Address => "AddressNotFound",
                    Subject::Mailbox => "NoSuchMailbox",
                    Subject::Message => "MessageNotFound",
                },
                message,
            ),
            StoreError::AlreadyExists(subject) => Self::new(
                StatusCode::CONFLICT,
                match subject {
                    Subject::Account => "UserExists",
                    Subject::Address => "AddressExists",
                    Subject::Mailbox => "MailboxExists",
                    Subject::Message => "MessageExists",
                },
                message,
            ),
            StoreError::OverQuota { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "OverQuota", message),
            StoreError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message),
            StoreError::LimitReached(_) => Self::new(StatusCode::FORBIDDEN, "LimitReached", message),
            StoreError::NotPermitted(_) => Self::new(StatusCode::FORBIDDEN, "NotPermitted", message),
            StoreError::OperationMismatch => Self::new(
                StatusCode::CONFLICT,
                "IdempotencyKeyReused",
                "this Idempotency-Key was used for a different request",
            ),
            StoreError::Unavailable { reason, retry_after, .. } => {
                tracing::warn!(%reason, "store unavailable");
                let message = "storage is temporarily unavailable, try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message)
                    .after(retry_after.unwrap_or(RETRY_AFTER))
            }
            // RFC 4918 §11.5.
            StoreError::StorageFull(reason) => {
                tracing::error!(%reason, "storage is full");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "StorageFull", "the server's storage is full")
            }
            StoreError::Corrupt(reason) => {
                tracing::error!(%reason, "stored data is damaged");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Corrupt", "stored data is damaged")
            }
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(e: AuthError) -> Self {
        match e {
            AuthError::Store(e) => e.into(),
            AuthError::TooMany { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "RateLimited", e.to_string()).after(retry_after)
            }
            _ => Self::new(StatusCode::UNAUTHORIZED, "AuthFailed", "wrong address or password"),
        }
    }
}
