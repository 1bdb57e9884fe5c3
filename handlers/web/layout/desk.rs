//! The desk: what stands around the routes of a function that shows pages.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::{
    answer::typed,
    frame::Frame,
    headers::protect,
    problem::Problem,
    texts::{ENGLISH, Texts},
};
use crate::identity::session::Sessions;

/// The largest form that is read, in bytes.
const FORM_MAX: usize = 64 * 1024;

const STYLE: &str = include_str!("templates/style.css");

/// What the pages of one function share. Clones are cheap.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    sessions: Arc<Sessions>,
    base: String,
    origin: String,
}

impl Desk {
    /// The desk of `function`, whose pages browsers reach below `pages`, the address without a slash
    /// at its end.
    pub fn new(sessions: Arc<Sessions>, pages: &Url, function: &'static str) -> Self {
        let base = format!("{}/{function}", pages.path().trim_end_matches('/'));
        Self(Arc::new(Shared { sessions, base, origin: pages.origin().ascii_serialization() }))
    }

    /// The cookies.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// All texts.
    pub fn texts(&self) -> &'static Texts {
        &ENGLISH
    }

    /// The frame of a page with this title, for anybody; see [`Frame::of`].
    pub fn frame<'a>(&'a self, title: &'a str) -> Frame<'a> {
        let (t, base) = (self.texts(), self.0.base.as_str());
        Frame { t, title, base, visitor: None, sections: &[], here: "", refresh: None }
    }

    /// 303 to `step` of this function (which may have a query): the answer to every form that did
    /// something, so that loading the page again does nothing twice.
    pub fn see_other(&self, step: &str) -> Response {
        let place = HeaderValue::try_from(below(&self.0.base, step));
        match place {
            Ok(place) => (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response(),
            Err(_) => Problem::Internal.into_response(),
        }
    }

    /// 302 to Entra: the answer to a link, never to a form.
    pub fn leave_for(&self, address: &Url) -> Response {
        match HeaderValue::try_from(address.as_str()) {
            Ok(place) => (StatusCode::FOUND, [(header::LOCATION, place)]).into_response(),
            Err(_) => Problem::Internal.into_response(),
        }
    }

    /// `routes` with what all pages share: the style, the limit of forms, every [`Problem`] as a
    /// page, and the headers that protect.
    pub fn around(&self, routes: Router) -> Router {
        let desk = self.clone();
        let dress = middleware::map_response(move |answer: Response| {
            let desk = desk.clone();
            async move { desk.dressed(answer) }
        });
        routes
            .route("/style.css", get(style))
            .fallback(async || Problem::NotFound)
            .method_not_allowed_fallback(async || Problem::WrongMethod)
            .layer(DefaultBodyLimit::max(FORM_MAX))
            .layer(dress)
    }

    /// The origin of our own pages, as browsers write it.
    pub(super) fn origin(&self) -> &str {
        &self.0.origin
    }

    fn dressed(&self, mut answer: Response) -> Response {
        if let Some(problem) = answer.extensions_mut().remove::<Problem>() {
            let page = problem.page(self.frame(""));
            for (name, value) in typed("text/html; charset=utf-8") {
                answer.headers_mut().insert(name, value);
            }
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            *answer.body_mut() = page.into();
        }
        protect(answer.headers_mut());
        answer
    }
}

async fn style() -> Response {
    let cache = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))];
    (typed("text/css; charset=utf-8"), cache, STYLE).into_response()
}

/// The path of `step` below `base`; a query alone belongs to the first page.
pub(super) fn below(base: &str, step: &str) -> String {
    let slash = if step.is_empty() || step.starts_with('?') { "" } else { "/" };
    format!("{base}{slash}{step}")
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
        base::{clock::ManualClock, rng::SeededRng},
        identity::{
            client_state::Keys,
            key_ring::{KeyRing, KeySource, KeysUnavailable},
        },
        web::layout::{Posted, Visitor},
    };

    struct Nowhere;

    #[async_trait::async_trait]
    impl KeySource for Nowhere {
        async fn load(&self) -> Result<Keys, KeysUnavailable> {
            Err(KeysUnavailable)
        }
    }

    #[derive(Clone)]
    struct State(Desk);

    impl FromRef<State> for Desk {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    /// Pages whose keys are away.
    fn app() -> Router {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let ring = Arc::new(KeyRing::new(Box::new(Nowhere), Arc::clone(&clock) as _));
        let sessions = Arc::new(Sessions::new(ring, clock, Arc::new(SeededRng::new(1))));
        let desk = Desk::new(sessions, &"https://x.example/api".parse().unwrap(), "consent");
        let routes = Router::new()
            .route("/mine", get(async |_: Visitor| "yours"))
            .route("/save", post(async |_: Posted| "saved"))
            .with_state(State(desk.clone()));
        desk.around(routes)
    }

    async fn ask(request: Request<Body>) -> (u16, http::HeaderMap, String) {
        let answer = app().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let text = to_bytes(body, 1 << 20).await.unwrap().to_vec();
        (parts.status.as_u16(), parts.headers, String::from_utf8(text).unwrap())
    }

    #[tokio::test]
    async fn a_problem_is_a_protected_page_with_a_way_on() {
        let cookie = "__Host-roombridge-session=c1.AAAA";
        let request = Request::get("/mine").header("cookie", cookie).body(Body::empty()).unwrap();
        let (status, headers, text) = ask(request).await;
        assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "30"));
        assert!(text.contains("Try again in half a minute."));
        assert!(text.contains("href=\"/api/consent/style.css\""));
        assert_eq!(headers["content-security-policy"], crate::web::layout::PAGE_POLICY);
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
