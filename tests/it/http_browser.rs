//! A browser without a screen: it keeps cookies, fills in the form of the page it is on, says where
//! a request comes from, and goes to Entra as whoever it is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use roombridge::base::http::Http;
use url::{Url, form_urlencoded};
use world::test_world::{APP_HOST, TestWorld};

use crate::TestError;

/// What a page answered.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
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

/// A browser.
pub(crate) struct Browser<'a> {
    world: &'a TestWorld,
    function: &'static str,
    /// What it presents.
    pub(crate) cookies: BTreeMap<String, String>,
    /// What the forms of the last page carry.
    pub(crate) csrf: String,
    /// What it says of where a post comes from.
    pub(crate) sec_fetch_site: &'static str,
    pub(crate) origin: &'static str,
}

impl<'a> Browser<'a> {
    /// A browser that visits the pages of `function`.
    pub(crate) fn new(office: &'a TestWorld, function: &'static str) -> Self {
        let (cookies, csrf) = (BTreeMap::new(), String::new());
        // The pages have `Referrer-Policy: no-referrer`, so their forms come from `null`.
        Self {
            world: office,
            function,
            cookies,
            csrf,
            sec_fetch_site: "same-origin",
            origin: "null",
        }
    }

    /// Opens `step`, or a whole address.
    pub(crate) async fn get(&mut self, step: &str) -> Result<Page, TestError> {
        self.send(Method::GET, step, Bytes::new()).await
    }

    /// Posts a form of the page it is on to `step`.
    pub(crate) async fn post(
        &mut self,
        step: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        let csrf = self.csrf.clone();
        self.post_without_csrf(step, &[&[("csrf", csrf.as_str())], fields].concat()).await
    }

    /// Posts these fields and no others.
    pub(crate) async fn post_without_csrf(
        &mut self,
        step: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.send(Method::POST, step, Bytes::from(form.finish())).await
    }

    async fn send(&mut self, method: Method, step: &str, body: Bytes) -> Result<Page, TestError> {
        let address = match step {
            whole if whole.starts_with("https://") => whole.to_owned(),
            path if path.starts_with('/') => format!("https://{APP_HOST}{path}"),
            "" => format!("https://{APP_HOST}/api/{}", self.function),
            step => format!("https://{APP_HOST}/api/{}/{step}", self.function),
        };
        let cookies: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let mut request = http::Request::builder()
            .method(&method)
            .uri(address)
            .header(header::HOST, APP_HOST)
            .header(header::COOKIE, cookies.join("; "));
        if method == Method::POST {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, self.origin)
                .header("sec-fetch-site", self.sec_fetch_site);
        }
        let answer = self.world.microsoft.network.send(request.body(body)?).await?;
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str()?.split_once(';').unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or_default();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let (parts, body) = answer.into_parts();
        let text = String::from_utf8(body.to_vec())?;
        let page = Page { status: parts.status, headers: parts.headers, text };
        let csrf = page.value("csrf");
        if !csrf.is_empty() {
            self.csrf = csrf;
        }
        Ok(page)
    }

    /// Goes to Entra to sign in; answers the address there.
    pub(crate) async fn sign_in_url(&mut self) -> Result<Url, TestError> {
        Ok(self.get("sign-in").await?.location().parse()?)
    }

    /// Signs in as `user` (an object id) and opens the first page.
    pub(crate) async fn sign_in(&mut self, user: &str) -> Result<Page, TestError> {
        let address = self.sign_in_url().await?;
        let back = self.world.microsoft.entra.authorize(&address, user);
        let back = back.map_err(|page| page.text)?;
        let page = self.get(back.as_str()).await?;
        if page.status != StatusCode::SEE_OTHER {
            return Ok(page);
        }
        self.get("").await
    }
}
