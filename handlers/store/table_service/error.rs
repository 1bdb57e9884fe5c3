//! What can go wrong with a call of the table service.

use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use serde_json::Value;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Why a call failed. No text of the service's is kept but its code: messages may quote data.
#[derive(Debug, thiserror::Error)]
pub enum TableServiceError {
    /// The service answered that it did not do it.
    #[error("the table service answered {status} {code}")]
    ErrorResponse {
        /// The HTTP status: of the operation at fault, in a transaction.
        status: u16,
        /// The service's code, such as `EntityAlreadyExists`; empty when it gave none.
        code: String,
        /// In a transaction: the index of the operation at fault, when the service said it.
        failed_operation: Option<usize>,
    },
    /// No answer came, or no token could be had; whether a write took effect is unknown.
    #[error("no response from the table service ({})", .0.kind())]
    NoResponse(#[from] azure_core::Error),
    /// The answer was not what the protocol says.
    #[error("response of the table service cannot be parsed: {0}")]
    Unreadable(&'static str),
    /// The service's address, or one made with a table's name, is not a usable https address.
    #[error("not a usable https address")]
    InvalidUrl,
}

impl TableServiceError {
    pub(super) fn from_response(answer: &RawResponse) -> Self {
        let header = answer.headers().get_optional_string(&ERROR_CODE);
        let (body_code, failed) = parse_error(answer.body());
        let code = header.or(body_code).unwrap_or_default();
        Self::ErrorResponse { status: u16::from(answer.status()), code, failed_operation: failed }
    }

    /// The answer of one operation in a transaction.
    pub(super) fn from_batch_part(status: u16, body: &str) -> Self {
        let (code, failed) = parse_error(body.as_bytes());
        Self::ErrorResponse { status, code: code.unwrap_or_default(), failed_operation: failed }
    }
}

/// The code, and the index that the message of a failed transaction starts with: `3:The ...`
/// (learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions, "Sample
/// error response").
fn parse_error(body: &[u8]) -> (Option<String>, Option<usize>) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["odata.error"];
    // The message is a text in one form of the JSON, and holds one in another.
    let message = &error["message"];
    let text = message.as_str().or_else(|| message["value"].as_str()).unwrap_or_default();
    let failed = text.split_once(':').and_then(|(index, _)| index.trim().parse().ok());
    (error["code"].as_str().map(str::to_owned), failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_at_fault_is_named() {
        let body = r#"{"odata.error":{"code":"EntityAlreadyExists",
            "message":{"lang":"en-US","value":"2:The specified entity already exists.\nRequestId:1"}}}"#;
        assert_eq!(parse_error(body.as_bytes()), (Some("EntityAlreadyExists".to_owned()), Some(2)));
    }

    #[test]
    fn a_body_that_is_no_error_says_nothing() {
        assert_eq!(parse_error(b"<html>"), (None, None));
    }
}
