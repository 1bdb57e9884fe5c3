//! What a handler takes as an argument, so that it cannot be reached without proof: a signed-in user,
//! or a form that this user posted from a page of ours.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRef, FromRequest, FromRequestParts, OptionalFromRequestParts, Request},
};
use http::{HeaderMap, Method, header, request::Parts};
use url::form_urlencoded;

use super::{
    context::PageContext,
    current_user::CurrentUser,
    error::PageError,
    form::{Field, Form},
};
use crate::base::invocation::RequestInvocation;

/// The largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The field that proves that a page of this session made the form. A token is 32 random bytes in
/// base64url.
const CSRF_TOKEN: Field = Field::single_line("csrf", 43);

async fn current_user(
    pages: &PageContext,
    parts: &Parts,
) -> Result<Option<CurrentUser>, PageError> {
    let Some(session) = pages.sessions.open(&parts.headers).await? else { return Ok(None) };
    let request = parts.extensions.get::<RequestInvocation>().ok_or(PageError::Internal)?;
    Ok(Some(CurrentUser::new(session, request)))
}

/// The same for a page that is only read.
async fn reader(pages: &PageContext, parts: &Parts) -> Result<Option<CurrentUser>, PageError> {
    let user = current_user(pages, parts).await?;
    if let Some(user) = &user {
        pages.rate_limiter.check_read(user.tenant(), user.person())?;
    }
    Ok(user)
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser
where
    PageContext: FromRef<S>,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let reader = reader(&PageContext::from_ref(state), parts).await?;
        reader.ok_or(PageError::NotSignedIn)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for CurrentUser
where
    PageContext: FromRef<S>,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, PageError> {
        reader(&PageContext::from_ref(state), parts).await
    }
}

/// A form that a signed-in user posted from a page of this very session.
///
/// No `Debug`: what people type is theirs.
pub(crate) struct VerifiedForm {
    pub(crate) user: CurrentUser,
    body: Bytes,
}

impl VerifiedForm {
    /// The form, which may have these fields and the token; any other field is an error.
    pub(crate) fn parse(&self, known: &[Field]) -> Result<Form, PageError> {
        Form::parse(&self.body, &[known, &[CSRF_TOKEN]].concat())
    }
}

impl<S: Send + Sync> FromRequest<S> for VerifiedForm
where
    PageContext: FromRef<S>,
{
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let pages = PageContext::from_ref(state);
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(PageError::MethodNotAllowed);
        }
        // First: another site must not learn from the answer whether there is a session.
        if !is_same_origin(&parts.headers, &pages.origin) {
            return Err(PageError::CrossSite);
        }
        // Forms are shown to signed-in people alone: a session that is missing here has ended since.
        let user = current_user(&pages, &parts).await?.ok_or(PageError::SessionExpired)?;
        if !has_content_type(&parts.headers, "application/x-www-form-urlencoded") {
            return Err(PageError::UnsupportedMediaType);
        }
        let body = read_body(body, MAX_FORM_BYTES).await.ok_or(PageError::TooLarge)?;
        // Before any other field: a form without proof gets no answer about its fields.
        let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "csrf");
        let token = tokens.next().map(|(_, value)| value).unwrap_or_default();
        if !user.csrf_matches(&token) {
            return Err(PageError::CsrfMismatch);
        }
        // After the proof: another site must not use up what the user may do.
        pages.rate_limiter.check_change(user.tenant(), user.person())?;
        Ok(Self { user, body })
    }
}

/// Whether the browser says that a page of ours posted this, or says nothing: the token in the form
/// is the proof. `Referrer-Policy: no-referrer` makes browsers write `Origin: null` (Fetch, "append a
/// request Origin header"), which counts only together with `Sec-Fetch-Site`.
fn is_same_origin(headers: &HeaderMap, own: &str) -> bool {
    // A header that is no text counts as one that says something else, not as a missing one.
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match text(header::ORIGIN.as_str()) {
        None => true,
        Some("null") => site.is_some(),
        Some(origin) => origin == own,
    }
}

/// The body; `None` when it is too large, also for the time that it may take: somebody who is signed in
/// could keep any number of requests open.
pub(crate) async fn read_body(body: Body, max_bytes: usize) -> Option<Bytes> {
    tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, max_bytes)).await.ok()?.ok()
}

/// Whether the body is said to be of `kind`, whatever its parameters are.
pub(crate) fn has_content_type(headers: &HeaderMap, kind: &str) -> bool {
    let found = headers.get(header::CONTENT_TYPE).and_then(|found| found.to_str().ok());
    let found = found.unwrap_or_default().split(';').next().unwrap_or_default();
    found.trim().eq_ignore_ascii_case(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_of_another_site_is_distinguished() {
        let own = "https://roombridge.example";
        for (site, origin, expected) in [
            (Some("same-origin"), Some(own), true),
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), None, true),
            (None, Some(own), true),
            (None, None, true),
            (Some("cross-site"), Some(own), false),
            (Some("same-site"), None, false),
            (Some("none"), None, false),
            (Some("same-origin"), Some("https://evil.example"), false),
            (None, Some("null"), false),
            (None, Some("https://roombridge.example.evil.example"), false),
            (None, Some("http://roombridge.example"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert("sec-fetch-site", site.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert("origin", origin.parse().unwrap());
            }
            assert_eq!(is_same_origin(&headers, own), expected, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn only_a_form_is_read_as_a_form() {
        for (kind, expected) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", true),
            ("text/plain", false),
            ("multipart/form-data; boundary=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", kind.parse().unwrap());
            let form = "application/x-www-form-urlencoded";
            assert_eq!(has_content_type(&headers, form), expected, "{kind}");
        }
        assert!(!has_content_type(&HeaderMap::new(), "application/x-www-form-urlencoded"));
    }
}
