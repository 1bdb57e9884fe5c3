//! The validation handshake: the token must come back decoded, as plain text
//! (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).

use bytes::Bytes;
use http::{Request, StatusCode};

use super::Graph;
use super::request::Reply;
use super::writes::encode_segment;

impl Graph {
    /// Validates a notification URL; its query is kept.
    pub(super) async fn validate(&self, url: &str) -> Result<(), Reply> {
        if self.must_time_out() {
            return Err(validation_timed_out());
        }
        let token = self.token();
        let joint = if url.contains('?') { '&' } else { '?' };
        let address = format!("{url}{joint}validationToken={}", encode_segment(&token));
        let request = Request::post(address)
            .header("content-type", "text/plain; charset=utf-8")
            .header("content-length", "0")
            .body(Bytes::new())
            .map_err(|_| validation_failed("The notification URL is not valid."))?;
        let Ok(answer) = self.http().send(request).await else {
            return Err(validation_timed_out());
        };
        if answer.status() != StatusCode::OK {
            let reason = answer.status().canonical_reason().unwrap_or("Unknown").replace(' ', "");
            return Err(validation_failed(&format!(
                "Subscription validation request failed. HTTP status code is '{reason}'. \
                 Notification endpoint must respond with 200 OK to validation request."
            )));
        }
        let kind = answer.headers().get("content-type").and_then(|v| v.to_str().ok());
        let plain = kind.is_some_and(|k| {
            k.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("text/plain"))
        });
        if !plain || answer.body() != token.as_bytes() {
            return Err(validation_failed(
                "Subscription validation request failed. Must respond with 200 OK to this request \
                 and the validation token as plain text.",
            ));
        }
        Ok(())
    }

    /// Whether this one times out because a test wants it.
    fn must_time_out(&self) -> bool {
        let left = &mut self.lock().switches.handshakes_to_time_out;
        let out = *left > 0;
        *left = left.saturating_sub(1);
        out
    }

    /// A token with everything that a careless decoder gets wrong. The documentation promises that
    /// it never holds HTML.
    fn token(&self) -> String {
        let id = self.0.rng.uuid();
        let date = self.now().strftime("%m/%d/%Y %H:%M:%S");
        format!(
            "Validation: Testing client application reachability for subscription Request-Id: {id} at {date}+00:00 &x=1 100% %2B Zürich/会議"
        )
    }
}

fn validation_timed_out() -> Reply {
    validation_failed("Subscription validation request timed out.")
}

fn validation_failed(text: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "InvalidRequest", text)
}
