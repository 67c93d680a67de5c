//! Form bodies, with errors that are pages.

use super::page::{PageError, PageResult};
use crate::http::app::Shared;
use crate::http::error::ApiError;
use crate::http::input;
use axum::extract::{Form, FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

/// Longest form, in bytes.
const LIMIT: usize = 16 << 10;

/// The fields of a form.
pub struct FormBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for FormBody<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, _: &Shared) -> PageResult<Self> {
        let body = input::limited(request, LIMIT).await?;
        // A button without fields sends no content type.
        let form = Request::post("/")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .map_err(|_| ApiError::input("the form could not be read"))?;
        let fields = Form::<T>::from_request(form, &()).await;
        fields
            .map(|Form(fields)| FormBody(fields))
            .map_err(|e| ApiError::input(format!("the form: {}", e.body_text())).into())
    }
}
