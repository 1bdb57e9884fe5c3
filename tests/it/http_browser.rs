//! A browser without a screen: it keeps cookies, fills in the form of the page it is on, says where
//! a request comes from, and signs in at Entra.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, header};
use roombridge::base::http::Http as _;
use serde_json::Value;
use url::{Url, form_urlencoded};
use world::test_world::{APP_HOST, TestWorld};

use crate::TestError;

/// What a page answered.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// Where it sends the browser; empty when it does not.
    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    /// A header, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The page's first heading.
    pub(crate) fn heading(&self) -> &str {
        between(&self.text, "<h1>", "</h1>")
    }

    /// The value of an input, unescaped.
    pub(crate) fn value(&self, name: &str) -> String {
        let input = between(&self.text, &format!("name=\"{name}\" value=\""), "\"");
        unescape(input)
    }

    /// The address of the first link that begins so, unescaped.
    pub(crate) fn link_starting_with(&self, beginning: &str) -> String {
        let begins = format!("href=\"{beginning}");
        format!("{beginning}{}", unescape(between(&self.text, &begins, "\"")))
    }

    pub(crate) fn json(&self) -> Result<Value, TestError> {
        Ok(serde_json::from_str(&self.text)?)
    }

    /// The code of a problem that the API answers.
    pub(crate) fn problem_code(&self) -> Result<String, TestError> {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        Ok(self.json()?["code"].as_str().unwrap_or_default().to_owned())
    }

    /// What `<tag id="..">` says.
    pub(crate) fn text_of_id(&self, id: &str) -> &str {
        let from = self.text.find(&format!("id=\"{id}\"")).unwrap_or(self.text.len());
        between(&self.text[from..], ">", "<")
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).map(|(_, rest)| rest).unwrap_or_default();
    rest.split_once(to).map(|(found, _)| found).unwrap_or_default()
}

fn unescape(text: &str) -> String {
    let pairs = [("&#38;", "&"), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A browser that visits the pages of one function. It is shared by reference, because stories send two
/// forms at the same moment.
pub(crate) struct Browser<'a> {
    world: &'a TestWorld,
    function: &'static str,
    state: Mutex<BrowserState>,
}

struct BrowserState {
    cookies: BTreeMap<String, String>,
    /// What the forms of the last page carry.
    csrf: String,
    origin: &'static str,
    sec_fetch_site: &'static str,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(world: &'a TestWorld, function: &'static str) -> Self {
        let state = BrowserState {
            cookies: BTreeMap::new(),
            csrf: String::new(),
            // The pages have `Referrer-Policy: no-referrer`, so their forms come from `null`.
            origin: "null",
            sec_fetch_site: "same-origin",
        };
        Self { world, function, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, BrowserState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cookies(&self) -> BTreeMap<String, String> {
        self.state().cookies.clone()
    }

    /// Presents these cookies from now on, as somebody who copied them would.
    pub(crate) fn set_cookies(&self, cookies: BTreeMap<String, String>) {
        self.state().cookies = cookies;
    }

    /// Which origin its posts claim.
    pub(crate) fn set_origin(&self, sec_fetch_site: &'static str, origin: &'static str) {
        let mut state = self.state();
        (state.sec_fetch_site, state.origin) = (sec_fetch_site, origin);
    }

    /// Opens a step of the function, a path, or a whole address.
    pub(crate) async fn get(&self, step: &str) -> Result<Page, TestError> {
        self.send(http::Request::get(self.address(step)), Bytes::new()).await
    }

    /// The token that the forms of the function's first page carry.
    pub(crate) async fn csrf(&self) -> Result<String, TestError> {
        let page = self.get("").await?;
        match page.value("csrf") {
            none if none.is_empty() => Err(format!("no form: {}", page.text).into()),
            token => Ok(token),
        }
    }

    /// The token that a form would carry now; empty when no page with a form was opened.
    pub(crate) fn last_csrf(&self) -> String {
        self.state().csrf.clone()
    }

    /// Uses this token in its forms until another page brings one.
    pub(crate) fn set_last_csrf(&self, csrf: String) {
        self.state().csrf = csrf;
    }

    /// Posts a form of the page it is on to `step`; of the first page when it is on none.
    pub(crate) async fn post(
        &self,
        step: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        let csrf = match self.last_csrf() {
            none if none.is_empty() => self.csrf().await?,
            token => token,
        };
        self.post_with(step, &csrf, fields).await
    }

    /// The same with this token.
    pub(crate) async fn post_with(
        &self,
        step: &str,
        csrf: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        self.post_without_csrf(step, &[&[("csrf", csrf)], fields].concat()).await
    }

    /// Posts these fields and no others.
    pub(crate) async fn post_without_csrf(
        &self,
        step: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let (origin, site) = {
            let state = self.state();
            (state.origin, state.sec_fetch_site)
        };
        let request = http::Request::post(self.address(step))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, origin)
            .header("sec-fetch-site", site);
        self.send(request, form.finish()).await
    }

    /// Does what a form does, and follows to the page that says so.
    pub(crate) async fn submit(
        &self,
        step: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        let page = self.post(step, fields).await?;
        assert_eq!(page.status, 303, "{step}: {}", page.text);
        self.get(page.location()).await
    }

    /// Sends a request with its cookies, and keeps those that come back.
    pub(crate) async fn send(
        &self,
        mut request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Page, TestError> {
        let cookies: Vec<String> =
            self.state().cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let page = send(self.world, request, body).await?;
        let mut state = self.state();
        for cookie in page.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str()?;
            assert!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
            assert!(cookie.contains("SameSite=Lax"), "{cookie}");
            let (pair, rest) = cookie.split_once(';').unwrap_or_default();
            let (name, value) = pair.split_once('=').ok_or("a cookie without a name")?;
            if value.is_empty() || rest.contains("Max-Age=0") {
                state.cookies.remove(name);
            } else {
                state.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let csrf = page.value("csrf");
        if !csrf.is_empty() {
            state.csrf = csrf;
        }
        drop(state);
        Ok(page)
    }

    pub(crate) fn address(&self, step: &str) -> String {
        let function = self.function;
        match step {
            whole if whole.starts_with("https://") => whole.to_owned(),
            path if path.starts_with('/') => format!("https://{APP_HOST}{path}"),
            query if query.is_empty() || query.starts_with('?') => {
                format!("https://{APP_HOST}/api/{function}{query}")
            }
            step => format!("https://{APP_HOST}/api/{function}/{step}"),
        }
    }

    /// Begins to sign in; returns the address at Entra.
    pub(crate) async fn sign_in_url(&self) -> Result<Url, TestError> {
        let sent = self.get("sign-in").await?;
        assert_eq!(sent.status, 302, "{}", sent.text);
        Ok(sent.location().parse()?)
    }

    /// Begins to sign in as `user` (an object id); returns where Entra sends the browser back to.
    pub(crate) async fn start_sign_in(&self, user: &str) -> Result<Url, TestError> {
        let address = self.sign_in_url().await?;
        let back = self.world.microsoft.entra.authorize(&address, user);
        back.map_err(|page| page.text.into())
    }

    /// Signs in as `user` (an object id) and opens the first page; without success it stays on the page that
    /// says why.
    pub(crate) async fn sign_in(&self, user: &str) -> Result<Page, TestError> {
        let back = self.start_sign_in(user).await?;
        let page = self.get(back.as_str()).await?;
        if page.status == 303 { self.get("").await } else { Ok(page) }
    }
}

/// Sends a request without cookies.
pub(crate) async fn send(
    world: &TestWorld,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Result<Page, TestError> {
    let request = request.header(header::HOST, APP_HOST).body(body.into())?;
    let (parts, body) = world.microsoft.network.send(request).await?.into_parts();
    let text = String::from_utf8(body.to_vec())?;
    Ok(Page { status: parts.status.as_u16(), headers: parts.headers, text })
}
