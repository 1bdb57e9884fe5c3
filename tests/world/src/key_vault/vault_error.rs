//! The vault's errors (learn.microsoft.com/azure/key-vault/general/rest-error-codes).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused.
pub(super) struct VaultError {
    status: StatusCode,
    code: &'static str,
    /// Distinguishes refusals of the same status.
    inner: Option<&'static str>,
    message: String,
}

impl VaultError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self { status, code, inner: None, message: message.to_owned() }
    }

    pub(super) fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "SecretNotFound", "No such secret.")
    }

    pub(super) fn forbidden(inner: &'static str, message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner_code(inner)
    }

    pub(super) fn with_inner_code(mut self, inner: &'static str) -> Self {
        self.inner = Some(inner);
        self
    }
}

impl IntoResponse for VaultError {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(inner) = self.inner {
            error["innererror"] = json!({ "code": inner });
        }
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
