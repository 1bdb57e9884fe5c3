//! How a queue or timer call is answered.
//!
//! An empty or `null` answer with a 2xx status never completes at the host, which waits to its
//! `functionTimeout` and then kills the process (Azure/azure-functions-host,
//! `DefaultHttpWorkerService`, 2024-10-24). So the bodies are written here, as constants, and
//! nowhere else. There are no output bindings: the host guesses at their encoding.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

const SUCCEEDED_BODY: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;
const FAILED_BODY: &str =
    r#"{"Outputs":{},"Logs":[],"ReturnValue":null,"error":"the invocation failed"}"#;

/// How a queue or timer call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvocationOutcome {
    /// The host deletes the message, or notes the run.
    Succeeded,
    /// The host shows the message again or repeats the run. Our own log says why: the host
    /// drops the `Logs` of a failed call.
    Failed,
}

impl IntoResponse for InvocationOutcome {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Succeeded => (StatusCode::OK, SUCCEEDED_BODY),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, FAILED_BODY),
        };
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn every_answer_is_a_json_object() {
        for (outcome, status) in
            [(InvocationOutcome::Succeeded, 200), (InvocationOutcome::Failed, 500)]
        {
            let answer = outcome.into_response();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["content-type"], "application/json");
            let body = to_bytes(answer.into_body(), 1024).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["Outputs"], json!({}));
            assert_eq!(body["Logs"], json!([]));
        }
    }
}
