//! Answers: a page, a file to keep.

use askama::Template;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::error::PageError;

/// The page, with 200.
///
/// # Errors
/// [`PageError::Internal`] when it cannot be rendered.
pub fn html(page: &impl Template) -> Result<Response, PageError> {
    html_with_status(StatusCode::OK, page)
}

/// The page, with `status`: 422 for a form that has mistakes, 409 for one that came too late.
///
/// # Errors
/// [`PageError::Internal`] when it cannot be rendered.
pub fn html_with_status(status: StatusCode, page: &impl Template) -> Result<Response, PageError> {
    let text = page.render().map_err(|_| PageError::Internal)?;
    Ok((status, content_type("text/html; charset=utf-8"), text).into_response())
}

/// A file that the browser keeps and never shows. `label` is one of ours, without a quote in it.
pub fn download(name: &'static str, kind: &'static str, content: impl Into<Body>) -> Response {
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    (content_type(kind), [(header::CONTENT_DISPOSITION, disposition)], content.into())
        .into_response()
}

/// The `Content-Type` header.
pub(super) fn content_type(kind: &'static str) -> [(HeaderName, HeaderValue); 1] {
    [(header::CONTENT_TYPE, HeaderValue::from_static(kind))]
}
