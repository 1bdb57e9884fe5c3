//! What the pages of one function share, and what surrounds that function's routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::{
    current_user::CurrentUser,
    error::PageError,
    frame::{Frame, join_path},
    rate_limit::PersonRateLimiter,
    response::with_page_headers,
    texts::{ENGLISH, Texts},
};
use crate::{base::clock::Clock, identity::sign_in::SessionCookies};

const STYLESHEET: &str = include_str!("templates/style.css");

/// What the pages of one function share. Clones are cheap.
#[derive(Clone)]
pub struct PageContext {
    pub(crate) sessions: Arc<SessionCookies>,
    pub(crate) rate_limiter: Arc<PersonRateLimiter>,
    base: Arc<str>,
    /// The origin of our own pages, as browsers write it.
    pub(super) origin: Arc<str>,
}

impl PageContext {
    /// The context of `function`, whose pages browsers reach below the address `pages`.
    pub(crate) fn new(
        sessions: Arc<SessionCookies>,
        clock: &Arc<dyn Clock>,
        pages: &Url,
        function: &'static str,
    ) -> Self {
        let base = format!("{}/{function}", pages.path().trim_end_matches('/'));
        let origin = pages.origin().ascii_serialization();
        let rate_limiter = Arc::new(PersonRateLimiter::new(clock));
        Self { sessions, rate_limiter, base: base.into(), origin: origin.into() }
    }

    pub(crate) fn texts(&self) -> &'static Texts {
        &ENGLISH
    }

    /// The frame of a page with this title, without navigation. For a user it has the name and the
    /// button to sign out.
    pub(crate) fn frame<'a>(&'a self, title: &'a str, user: Option<&'a CurrentUser>) -> Frame<'a> {
        let (t, base) = (self.texts(), self.base.as_ref());
        Frame { t, title, base, user, sections: vec![], current: "", refresh_seconds: None }
    }

    /// 303 to the page `path` of this function (which may have a query): the answer to every form that
    /// did something, so that reloading the page does nothing twice.
    pub(crate) fn see_other(&self, path: &str) -> Response {
        (StatusCode::SEE_OTHER, [(header::LOCATION, join_path(&self.base, path))]).into_response()
    }

    /// 302 to Entra: the answer to a link, never to a form.
    pub(crate) fn redirect_to(&self, address: &Url) -> Response {
        (StatusCode::FOUND, [(header::LOCATION, address.as_str())]).into_response()
    }

    /// `routes` with what all pages share: the style, every [`PageError`] as a
    /// page, and the security headers.
    pub(crate) fn wrap(&self, routes: Router) -> Router {
        let routes = routes
            .route("/style.css", get(stylesheet))
            // Instead of axum's own, whose answers have no page.
            .fallback(async || PageError::NotFound)
            .method_not_allowed_fallback(async || PageError::MethodNotAllowed)
            .layer(middleware::map_response_with_state(self.clone(), render_error));
        // Outermost, so that error pages carry the headers too.
        with_page_headers(routes)
    }
}

/// Gives an answer that carries a [`PageError`] the page for it. Only here is known of which function
/// the page is, and so where its links lead.
async fn render_error(State(pages): State<PageContext>, mut response: Response) -> Response {
    if let Some(error) = response.extensions_mut().remove::<PageError>() {
        let page = error.render(pages.frame("", None));
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
        // It was that of the empty body.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = page.into();
    }
    response
}

async fn stylesheet() -> impl IntoResponse {
    let kind = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    // The only answer that may be kept: it holds nothing of anybody.
    ([kind, (header::CACHE_CONTROL, "public, max-age=3600")], STYLESHEET)
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        extract::FromRef,
        routing::post,
    };
    use http::Request;
    use jiff::Timestamp;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        identity::keys::{KeyRing, KeySource, KeysUnavailable, client_state::KeySet},
        web::layout::{CurrentUser, VerifiedForm},
    };

    struct UnavailableKeys;

    #[async_trait::async_trait]
    impl KeySource for UnavailableKeys {
        async fn load(&self) -> Result<KeySet, KeysUnavailable> {
            Err(KeysUnavailable)
        }
    }

    #[derive(Clone)]
    struct State(PageContext);

    impl FromRef<State> for PageContext {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    /// Pages whose keys are away.
    fn app() -> Router {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let ring = Arc::new(KeyRing::new(Box::new(UnavailableKeys), Arc::clone(&clock)));
        let rng = Arc::new(SeededRng::new(1));
        let sessions = Arc::new(SessionCookies::new(ring, Arc::clone(&clock), rng));
        let address = "https://x.example/api".parse().unwrap();
        let pages = PageContext::new(sessions, &clock, &address, "consent");
        let routes = Router::new()
            .route("/mine", get(async |_: CurrentUser| "yours"))
            .route("/save", post(async |_: VerifiedForm| "saved"))
            .with_state(State(pages.clone()));
        pages.wrap(routes)
    }

    async fn ask(request: Request<Body>) -> (u16, http::HeaderMap, String) {
        let answer = app().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let text = to_bytes(body, 1 << 20).await.unwrap().to_vec();
        (parts.status.as_u16(), parts.headers, String::from_utf8(text).unwrap())
    }

    #[tokio::test]
    async fn an_error_is_a_protected_page_that_says_what_to_do() {
        let cookie = "__Host-roombridge-session=c1.AAAA";
        let request = Request::get("/mine").header("cookie", cookie).body(Body::empty()).unwrap();
        let (status, headers, text) = ask(request).await;
        assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "30"));
        assert!(text.contains("Try again in half a minute."));
        assert!(text.contains("href=\"/api/consent/style.css\""));
        assert_eq!(headers["content-security-policy"], crate::web::layout::response::PAGE_POLICY);
        assert_eq!(headers["cache-control"], "no-store");
        let (status, _, text) = ask(Request::get("/mine").body(Body::empty()).unwrap()).await;
        assert_eq!(status, 401, "{text}");
        assert!(text.contains("href=\"/api/consent/sign-in\""));
    }

    #[tokio::test]
    async fn what_is_not_there_and_what_is_not_asked_so_are_pages_too() {
        let (status, _, text) = ask(Request::get("/none").body(Body::empty()).unwrap()).await;
        assert!(status == 404 && text.contains("There is no such page"));
        let (status, headers, _) = ask(Request::get("/save").body(Body::empty()).unwrap()).await;
        assert_eq!((status, headers["allow"].to_str().unwrap()), (405, "POST"));
        let (status, headers, text) =
            ask(Request::get("/style.css").body(Body::empty()).unwrap()).await;
        assert!(status == 200 && text.contains("prefers-color-scheme: dark"));
        assert_eq!(headers["cache-control"], "public, max-age=3600");
        assert!(!text.contains("http") && !text.contains("url("), "nothing from elsewhere");
    }
}
