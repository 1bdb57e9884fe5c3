//! The validation handshake: Graph sends a token and wants it back, decoded, as plain text.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// The longest token that is echoed. Graph's are below 200 characters; their format may change.
const MAX_TOKEN_BYTES: usize = 2_048;

/// The decoded token of a handshake; `None` when the request is none.
pub(super) fn validation_token(query: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "validationToken").map(|(_, token)| token.into_owned())
}

/// Plain text that no browser takes for anything else.
pub(super) fn echo(token: &str) -> Response {
    // Anybody may call this: it must not be a mirror for content of any size.
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return (StatusCode::BAD_REQUEST, "not a validation token").into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, token.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_back_decoded_wherever_it_is_in_the_query() {
        let query = "code=x&validationToken=Validation%3a+Testing+%e2%9c%93+a%26b%2B%25&z=1";
        assert_eq!(validation_token(query).as_deref(), Some("Validation: Testing ✓ a&b+%"));
        assert_eq!(validation_token("validationtoken=x"), None);
        assert_eq!(validation_token(""), None);
    }

    #[test]
    fn a_token_without_end_is_refused() {
        assert_eq!(echo(&"x".repeat(MAX_TOKEN_BYTES + 1)).status(), StatusCode::BAD_REQUEST);
        assert_eq!(echo(&"x".repeat(MAX_TOKEN_BYTES)).status(), StatusCode::OK);
    }
}
