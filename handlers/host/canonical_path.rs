//! One address for one page: the host's router takes any case of letters and a slash at the end, and hands
//! the path on as the caller wrote it.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Sends browsers to the address that cookies are for, and answers every other request there.
pub(super) async fn answer_at_canonical_path(
    prefix: &str,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(path) = canonical(prefix, request.uri()) else { return next.run(request).await };
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && let Ok(location) = HeaderValue::from_str(path.as_str())
    {
        let uncached = HeaderValue::from_static("no-store");
        let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, uncached)];
        return (StatusCode::PERMANENT_REDIRECT, headers, Body::empty()).into_response();
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// The path below `prefix` in small letters without a slash at its end, and the query as it is; `None` where the path is
/// that already, or is none of an HTTP function.
fn canonical(prefix: &str, uri: &Uri) -> Option<PathAndQuery> {
    let path = uri.path().to_ascii_lowercase();
    let path = path.trim_end_matches('/');
    if path == uri.path() || !path.strip_prefix('/')?.starts_with(&format!("{prefix}/")) {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{query}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_an_http_function_has_another_form() {
        let form = |uri: &'static str| {
            canonical("api", &Uri::from_static(uri)).map(|path| path.as_str().to_owned())
        };
        assert_eq!(form("/api/my-calendar/").as_deref(), Some("/api/my-calendar"));
        assert_eq!(
            form("/API/Consent/Health?From=A").as_deref(),
            Some("/api/consent/health?From=A")
        );
        assert_eq!(form("/api//evil.example/").as_deref(), Some("/api//evil.example"));
        for other in ["/api/consent?x=A/", "/Fetch-Event", "/", "//api/x", "/api/"] {
            assert_eq!(form(other), None, "{other}");
        }
    }
}
