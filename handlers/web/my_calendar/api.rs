//! The API for an add-in: the same as the pages, as JSON, for a bearer token and nothing else.
//!
//! Cookies are never looked at here, and a token opens no page, so neither can be used in the
//! other's place. The answers are not for a browser to show: they may load nothing and be framed
//! nowhere.

use std::sync::Arc;

use axum::{
    Extension,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::form_urlencoded;

use super::{
    Front, agree::Agreed, fault::Fault, leave::Left, shown::StandingShown, stored::Stored,
    visit::Visit,
};
use crate::{
    base::call_log::Trail, domain::personal::Personal, identity::tokens::SignedIn,
    store::mailboxes::Farewell,
};

/// The largest body that is read, in bytes.
const BODY_MAX: usize = 4 * 1024;
/// The longest address of an owner, in characters: the longest that mail takes (RFC 5321, 4.5.3.1).
pub(super) const ADDRESS_MAX: usize = 320;
/// The longest text version that is compared.
const VERSION_MAX: usize = 64;

const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const METHODS: &str = "DELETE, GET, POST, PUT";
/// How long a browser remembers a preflight, in seconds.
const PREFLIGHT: &str = "600";

/// `PUT`: the caller agrees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreeWire {
    text_version: String,
}

/// `POST`: the caller agrees for the owner of another calendar.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DelegateWire {
    owner: String,
    text_version: String,
}

/// The answer to `GET`.
#[derive(Serialize)]
struct EverythingWire {
    standing: StandingShown,
    stored: Stored,
}

/// The answer to what changes something.
#[derive(Serialize)]
struct DoneWire {
    result: &'static str,
}

/// Answers every request for `api`.
pub(super) async fn answer(
    State(front): State<Arc<Front>>,
    Extension(trail): Extension<Trail>,
    request: Request,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut answer = match front.api(request, trail).await {
        Ok(answer) => answer,
        Err(fault) => fault.into_response(),
    };
    let own = front.add_in_origin.as_deref().map(str::as_bytes);
    let allowed = origin.filter(|origin| own == Some(origin.as_bytes()));
    protect(answer.headers_mut(), allowed, preflight);
    answer
}

/// Headers of every answer. Only the add-in's own origin may read it from a browser, and never with
/// cookies.
fn protect(headers: &mut HeaderMap, allowed: Option<HeaderValue>, preflight: bool) {
    let fixed = |text: &'static str| HeaderValue::from_static(text);
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, fixed("max-age=63072000; includeSubDomains"));
    headers.insert(header::VARY, fixed("Origin"));
    let Some(origin) = allowed else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed("authorization, content-type"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed(PREFLIGHT));
    } else {
        let exposed = fixed("retry-after, www-authenticate");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

impl Front {
    async fn api(&self, request: Request, trail: Trail) -> Result<Response, Fault> {
        let method = request.method().clone();
        if method == Method::OPTIONS {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let caller = self.caller(request.headers()).await?;
        let visit = Visit::of(&self.deps, &caller, trail);
        match method {
            Method::GET => everything(&visit).await,
            Method::PUT => {
                let wire: AgreeWire = body(request).await?;
                let agreed = visit.agree(fitting(&wire.text_version, VERSION_MAX)?).await?;
                json(&DoneWire { result: agreed_word(agreed) })
            }
            Method::DELETE => {
                let (farewell, erase) = leaving(request.uri().query().unwrap_or_default())?;
                let left = match erase {
                    true => visit.erase(farewell).await?,
                    false => visit.withdraw(farewell).await?,
                };
                json(&DoneWire { result: left_word(left) })
            }
            Method::POST => {
                let wire: DelegateWire = body(request).await?;
                let owner = Personal::new(fitting(&wire.owner, ADDRESS_MAX)?);
                let version = fitting(&wire.text_version, VERSION_MAX)?;
                let agreed = visit.agree_for(&owner, version, &|name| self.notice(name)).await?;
                json(&DoneWire { result: agreed_word(agreed) })
            }
            _ => Err(Fault::Method),
        }
    }

    /// Who calls: the bearer of exactly one token, in its header and nowhere else.
    async fn caller(&self, headers: &HeaderMap) -> Result<SignedIn, Fault> {
        let mut all = headers.get_all(header::AUTHORIZATION).into_iter();
        let (Some(one), None) = (all.next(), all.next()) else { return Err(Fault::TokenMissing) };
        let text = one.to_str().map_err(|_| Fault::TokenRefused)?;
        let (scheme, token) = text.split_once(' ').ok_or(Fault::TokenMissing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Fault::TokenMissing);
        }
        Ok(self.tokens.caller(token.trim()).await?)
    }
}

async fn everything(visit: &Visit<'_>) -> Result<Response, Fault> {
    let standing = visit.standing_of(visit.person).await?;
    json(&EverythingWire { standing: StandingShown::of(&standing), stored: visit.stored().await? })
}

fn agreed_word(agreed: Agreed) -> &'static str {
    match agreed {
        Agreed::Now => "agreed",
        Agreed::Before => "agreed_before",
    }
}

fn left_word(left: Left) -> &'static str {
    match left {
        Left::Now => "left",
        Left::Before => "left_before",
        Left::Nothing => "nothing_stored",
    }
}

fn json(content: &impl Serialize) -> Result<Response, Fault> {
    let text = serde_json::to_string(content).map_err(|_| Fault::BadRequest)?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, text).into_response())
}

/// The JSON of a request, with nothing in it that is not documented.
async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(Fault::NotJson);
    }
    let bytes = to_bytes(request.into_body(), BODY_MAX).await.map_err(|_| Fault::TooLarge)?;
    serde_json::from_slice(&bytes).map_err(|_| Fault::BadRequest)
}

/// `text`, if it is one line of at most `max` characters.
fn fitting(text: &str, max: usize) -> Result<&str, Fault> {
    let fits = text.chars().count() <= max && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(Fault::BadRequest) }
}

/// What `DELETE` says: what becomes of bookings, which has no default, and whether to erase.
fn leaving(query: &str) -> Result<(Farewell, bool), Fault> {
    let (mut farewell, mut erase) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("bookings", "released") if farewell.is_none() => farewell = Some(Farewell::Released),
            ("bookings", "anonymous") if farewell.is_none() => farewell = Some(Farewell::Anonymous),
            ("erase", "true") if erase.is_none() => erase = Some(true),
            ("erase", "false") if erase.is_none() => erase = Some(false),
            _ => return Err(Fault::BadRequest),
        }
    }
    Ok((farewell.ok_or(Fault::BadRequest)?, erase.unwrap_or(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_says_what_becomes_of_the_bookings() {
        assert_eq!(leaving("bookings=released"), Ok((Farewell::Released, false)));
        assert_eq!(leaving("erase=true&bookings=anonymous"), Ok((Farewell::Anonymous, true)));
        for bad in ["", "erase=true", "bookings=all", "bookings=released&bookings=released", "x=1"]
        {
            assert_eq!(leaving(bad), Err(Fault::BadRequest), "{bad}");
        }
    }
}
