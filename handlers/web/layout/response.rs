//! Answers: a page, a file to keep, and the headers that protect them.

use askama::Template;
use axum::{
    Router,
    body::Body,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower_http::set_header::SetResponseHeaderLayer;

use super::error::{PageResult, internal};

/// What every answer for a browser carries, a page's or the API's.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    // Two years, as hstspreload.org recommends.
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// What pages carry in addition. The API does not: an add-in on another origin reads its answers.
const PAGE_HEADERS: [(HeaderName, &str); 3] = [
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// What a page may load and do: our own style and pictures, forms to ourselves, nothing else. It is
/// never framed. Browsers apply `form-action` also to the redirects that follow a form, so the way to
/// Entra is always a link.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The page, with 200.
pub(crate) fn html(page: &impl Template) -> PageResult {
    html_with_status(StatusCode::OK, page)
}

/// The page, with `status`: 422 for a form that has mistakes, 409 for one that came too late.
pub(crate) fn html_with_status(status: StatusCode, page: &impl Template) -> PageResult {
    let text = page.render().map_err(|error| internal(&error))?;
    Ok((status, Html(text)).into_response())
}

/// A file that the browser keeps and never shows. `name` is one of ours, without a quote in it.
pub(crate) fn download(
    name: &'static str,
    kind: &'static str,
    content: impl Into<Body>,
) -> Response {
    // Not shown, so that nothing in it can act as a page of ours.
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition.as_str())];
    (headers, content.into()).into_response()
}

/// `response` with one more cookie.
pub(crate) fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    // Appended: one answer may start a session and end the flow that led to it.
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// `routes` whose answers carry the security headers and `policy`. A policy or a cache rule that an
/// answer already has stays: the stylesheet has its own.
pub(crate) fn with_security_headers(routes: Router, policy: &'static str) -> Router {
    let (policy, no_store) =
        (HeaderValue::from_static(policy), HeaderValue::from_static("no-store"));
    with_headers(routes, SECURITY_HEADERS)
        .layer(SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, policy))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
}

pub(super) fn with_page_headers(routes: Router) -> Router {
    with_headers(with_security_headers(routes, PAGE_POLICY), PAGE_HEADERS)
}

fn with_headers<const N: usize>(
    routes: Router,
    headers: [(HeaderName, &'static str); N],
) -> Router {
    headers.into_iter().fold(routes, |routes, (name, value)| {
        routes.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
    })
}
