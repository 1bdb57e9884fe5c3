//! Entra's pages: plain HTML forms without scripts, for keyboard, screen reader and browser tests.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Entra;
use super::admin_consent::ConsentRequest;
use super::authorize::{SignInRequest, is_shared};
use super::people::{User, roles};
use super::redirects::ErrorPage;

/// No script and nothing from elsewhere. There is no `form-action`: browsers apply it to the redirect
/// that follows a form, and this one leads to the app.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      frame-ancestors 'none'";
const STYLE: &str = "\
:root{color-scheme:light dark;font-family:system-ui,sans-serif;line-height:1.5}\
body{margin:0}h1{font-size:1.5rem;line-height:1.25}main{max-width:36rem;margin:2rem auto;padding:0 1rem}\
ul.people{list-style:none;padding:0}ul.people li{margin:.5rem 0}\
button{font:inherit;width:100%;text-align:start;padding:.75rem 1rem;border-radius:.5rem;\
border:1px solid currentColor;background:transparent;color:inherit;cursor:pointer}\
button:focus-visible{outline:3px solid #0b6cff;outline-offset:2px}\
button span{display:block;font-size:.9em;opacity:.85}";

impl Entra {
    /// Who signs in?
    pub(super) fn account_picker_page(&self, sign_in: &SignInRequest, query: &str) -> Response {
        let lead = format!(
            "<p><strong>{}</strong> wants to know who you are. Choose an account; there are no \
             passwords here.</p>",
            escape(&sign_in.app.name),
        );
        let action = format!("/{}/oauth2/v2.0/persona?{query}", sign_in.endpoint);
        let people = self.offered_users(&sign_in.endpoint, &sign_in.login_hint);
        render_page(
            "Sign in",
            &format!("{lead}{}", self.choice_form(&action, "Continue as", &people)),
        )
    }

    /// May the app have what it requires?
    pub(super) fn consent_page(&self, request: &ConsentRequest, query: &str) -> Response {
        let mut lead = format!(
            "<p><strong>{}</strong> asks for these permissions, for your whole organisation:</p><ul>",
            escape(&request.app.name),
        );
        for permission in &request.app.application_permissions {
            lead.push_str(&format!("<li><code>{}</code></li>", escape(permission)));
        }
        if request.app.application_permissions.is_empty() {
            lead.push_str("<li>Sign people in and read their basic profile</li>");
        }
        lead.push_str(
            "</ul><p>Accept all of them or none. Only a Global Administrator or a \
                       Privileged Role Administrator can accept.</p>",
        );
        let action = format!("/{}/v2.0/adminconsent?{query}", request.endpoint);
        let people = self.offered_users(&request.endpoint, "");
        let body = format!("{lead}{}", self.choice_form(&action, "Accept as", &people));
        render_page("Permissions requested: review for your organisation", &body)
    }

    /// Whom the page offers: with a hint, that account first.
    fn offered_users(&self, endpoint: &str, hint: &str) -> Vec<User> {
        let shown = self.lock().offered_tenants.clone();
        let all: Vec<String> = self.lock().tenants.keys().cloned().collect();
        let tenants = if shown.is_empty() { all } else { shown };
        let people = tenants.iter().flat_map(|tenant| self.users(tenant));
        let mut people: Vec<User> = people
            .filter(|user| user.signs_in)
            .filter(|user| user.home.is_none() || user.tenant == endpoint)
            .collect();
        let elsewhere = |user: &User| !is_shared(endpoint) && user.tenant != endpoint;
        people.sort_by_key(|user| {
            let hinted = !hint.is_empty() && user.address.eq_ignore_ascii_case(hint);
            (!hinted, elsewhere(user), user.tenant.clone(), user.name.clone())
        });
        people
    }

    fn choice_form(&self, action: &str, verb: &str, people: &[User]) -> String {
        let mut form = format!("<form method=\"post\" action=\"{}\">", escape(action));
        form.push_str("<ul class=\"people\">");
        for user in people {
            form.push_str(&format!(
                "<li><button type=\"submit\" name=\"user\" value=\"{}\">{verb} {} \
                 <span>{}</span></button></li>",
                escape(&user.id),
                escape(&user.name),
                escape(&self.describe_user(user)),
            ));
        }
        form.push_str(
            "</ul><p><button type=\"submit\" name=\"cancel\" value=\"yes\">Cancel</button></p></form>",
        );
        form
    }

    /// Address, organisation, roles.
    fn describe_user(&self, user: &User) -> String {
        let named = self.exchange().and_then(|exchange| exchange.tenant_name(&user.tenant));
        let organisation = named.unwrap_or_else(|| match self.home_tenant() == user.tenant {
            true => "Roombridge's own tenant".to_owned(),
            false => user.tenant.clone(),
        });
        let all = self.wids(user);
        let mut parts = vec![user.address.clone(), organisation];
        let special = all.iter().filter(|role| role.as_str() != roles::EVERY_MEMBER);
        parts.extend(special.map(|role| roles::name(role).to_owned()));
        parts.join(" · ")
    }
}

/// Entra's own error page.
pub(super) fn error_page(error: &ErrorPage) -> Response {
    let body = format!(
        "<p role=\"alert\">Sorry, but we’re having trouble signing you in.</p>\
         <p>AADSTS{}: {}</p>",
        error.number,
        escape(&error.text),
    );
    (StatusCode::BAD_REQUEST, render_page("Sign in", &body)).into_response()
}

fn render_page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} – simulated Microsoft Entra</title><style>{STYLE}</style></head>\
         <body><main><p>Simulated Microsoft Entra</p><h1>{title}</h1>{body}</main></body></html>",
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, html).into_response()
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
