//! How the browser leaves Entra: back to the app with parameters, or nowhere, with a page.

use url::Url;

use super::Entra;

/// Entra's own error page: the browser stays there, and the app learns nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AADSTS{number}: {text}")]
pub struct ErrorPage {
    /// The AADSTS number.
    pub number: u32,
    /// What the page says.
    pub text: String,
}

impl ErrorPage {
    pub(super) fn new(number: u32, text: impl Into<String>) -> Self {
        Self { number, text: text.into() }
    }
}

/// A request that went no further.
pub(super) enum FlowError {
    /// With a page.
    Page(ErrorPage),
    /// With a redirect to the app.
    Redirect(Url),
}

impl From<ErrorPage> for FlowError {
    fn from(page: ErrorPage) -> Self {
        Self::Page(page)
    }
}

impl FlowError {
    /// Where the browser is sent, if anywhere.
    pub(super) fn into_result(self) -> Result<Url, ErrorPage> {
        match self {
            Self::Page(page) => Err(page),
            Self::Redirect(url) => Ok(url),
        }
    }
}

/// What is wrong, as an answer to the app says it.
pub(super) struct OAuthError {
    pub(super) error: &'static str,
    pub(super) number: u32,
    pub(super) text: String,
}

impl OAuthError {
    pub(super) fn new(error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { error, number, text: text.into() }
    }
}

impl Entra {
    /// The redirect URI with these parameters behind its own.
    pub(super) fn redirect_url(redirect_uri: &Url, pairs: &[(&str, &str)]) -> Url {
        let mut url = redirect_uri.clone();
        url.query_pairs_mut().extend_pairs(pairs);
        url
    }

    /// A complaint as a redirect, with the lines that Entra puts behind its texts
    /// (as seen in MicrosoftDocs/azure-docs issue 114009, 2023-08-28).
    pub(super) fn error_redirect(
        &self,
        redirect_uri: &Url,
        complaint: &OAuthError,
        more: &[(&str, &str)],
    ) -> Url {
        let id = self.0.rng.uuid();
        let at = jiff::Timestamp::from_second(self.sign_in_time()).unwrap_or_default();
        let at = at.strftime("%Y-%m-%d %H:%M:%SZ");
        let text = format!(
            "AADSTS{}: {}\r\nTrace ID: {id}\r\nCorrelation ID: {id}\r\nTimestamp: {at}",
            complaint.number, complaint.text,
        );
        let help = format!("{}/error?code={}", self.cloud().authority, complaint.number);
        let mut pairs = vec![
            ("error", complaint.error),
            ("error_description", text.as_str()),
            ("error_uri", help.as_str()),
        ];
        pairs.extend_from_slice(more);
        Self::redirect_url(redirect_uri, &pairs)
    }
}
