//! Answers: a page, a file to keep.

use askama::Template;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::problem::Problem;

/// The page, with 200.
///
/// # Errors
/// [`Problem::Internal`] when it cannot be rendered.
pub fn html(page: &impl Template) -> Result<Response, Problem> {
    html_with(StatusCode::OK, page)
}

/// The page, with `status`: 422 for a form that has mistakes, 409 for one that came too late.
///
/// # Errors
/// [`Problem::Internal`] when it cannot be rendered.
pub fn html_with(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let text = page.render().map_err(|_| Problem::Internal)?;
    Ok((status, typed("text/html; charset=utf-8"), text).into_response())
}

/// A file that the browser keeps and never shows. `name` is one of ours, without a quote in it.
pub fn download(name: &'static str, kind: &'static str, content: impl Into<Body>) -> Response {
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    (typed(kind), [(header::CONTENT_DISPOSITION, disposition)], content.into()).into_response()
}

/// The `Content-Type` header.
pub(super) fn typed(kind: &'static str) -> [(HeaderName, HeaderValue); 1] {
    [(header::CONTENT_TYPE, HeaderValue::from_static(kind))]
}
