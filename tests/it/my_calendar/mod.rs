//! What people decide about their own calendar, on the pages and through the API, as they see it.

mod agreeing;
mod api;
mod crashes;
mod delegating;
mod forms;
mod leaving;
mod races;
mod seeing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use roombridge::base::http::Http as _;
use roombridge::domain::decision::DecisionKind;
use roombridge::domain::policy::ContentPolicy;
use roombridge::domain::tenancy::TenantPolicy;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::MailboxState;
use roombridge::store::register::Register;
use roombridge::store::tenants::{Tenant, Tenants};
use serde_json::Value;
use url::{Url, form_urlencoded};
use world::entra::ApiTokenSpec;
use world::exchange::Mailbox;
use world::memory::QueueKind;
use world::test_world::APP_HOST;

use crate::TestError;
use crate::contoso::Contoso;

const PAGES: &str = "/api/my-calendar";
/// The version of the text that people agree to in these stories.
const TEXT: &str = "2026-11";

/// What came back.
struct PageResponse {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl PageResponse {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Result<Value, TestError> {
        Ok(serde_json::from_str(&self.text)?)
    }

    /// The code of a problem.
    fn code(&self) -> Result<String, TestError> {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        Ok(self.json()?["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// A browser with its cookies, without a screen.
struct Browser<'a> {
    contoso: &'a Contoso,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    fn new(contoso: &'a Contoso) -> Self {
        Self { contoso, cookies: Mutex::default() }
    }

    /// A browser in which `person` has signed in.
    async fn signed_in(contoso: &'a Contoso, person: &Mailbox) -> Result<Self, TestError> {
        let browser = Self::new(contoso);
        let back = browser.start_sign_in(person).await?;
        let answer = browser.open(back.as_str()).await?;
        assert_eq!((answer.status, answer.header("location")), (303, PAGES), "{}", answer.text);
        Ok(browser)
    }

    /// Begins to sign in; answers where Entra sends the browser back to.
    async fn start_sign_in(&self, person: &Mailbox) -> Result<Url, TestError> {
        let sent = self.get("sign-in").await?;
        assert_eq!(sent.status, 302, "{}", sent.text);
        let to: Url = sent.header("location").parse()?;
        let entra = &self.contoso.world.microsoft.entra;
        entra.authorize(&to, person.id()).map_err(|page| format!("{page:?}").into())
    }

    async fn get(&self, step: &str) -> Result<PageResponse, TestError> {
        self.open(&address(step)).await
    }

    async fn open(&self, url: &str) -> Result<PageResponse, TestError> {
        self.send(http::Request::get(url), Bytes::new()).await
    }

    /// Fills in a form of the first page and sends it.
    async fn post(&self, step: &str, fields: &[(&str, &str)]) -> Result<PageResponse, TestError> {
        let csrf = self.csrf().await?;
        self.post_with(step, &csrf, fields).await
    }

    async fn post_with(
        &self,
        step: &str,
        csrf: &str,
        fields: &[(&str, &str)],
    ) -> Result<PageResponse, TestError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", csrf).extend_pairs(fields);
        let request = http::Request::post(address(step))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", format!("https://{APP_HOST}"))
            .header("sec-fetch-site", "same-origin");
        self.send(request, form.finish()).await
    }

    async fn csrf(&self) -> Result<String, TestError> {
        let page = self.get("").await?;
        let after = page.text.split(r#"name="csrf" value=""#).nth(1);
        let token = after.and_then(|rest| rest.split('"').next());
        token.map(str::to_owned).ok_or_else(|| format!("no form: {}", page.text).into())
    }

    /// Does what a form does, and follows to the page that says so.
    async fn submit(&self, step: &str, fields: &[(&str, &str)]) -> Result<PageResponse, TestError> {
        let answer = self.post(step, fields).await?;
        assert_eq!(answer.status, 303, "{step}: {}", answer.text);
        let url = format!("https://{APP_HOST}{}", answer.header("location"));
        self.open(&url).await
    }

    async fn agree(&self) -> Result<PageResponse, TestError> {
        self.submit("agree", &[("agree", "yes"), ("text_version", TEXT)]).await
    }

    async fn send(
        &self,
        mut request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<PageResponse, TestError> {
        let cookies = self.cookies();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        let answer = send(self.contoso, request, body).await?;
        let mut kept = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str()?;
            assert!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
            assert!(cookie.contains("SameSite=Lax"), "{cookie}");
            let (name, rest) = cookie.split_once('=').ok_or("a cookie without a name")?;
            match rest.split(';').next().unwrap_or_default() {
                "" => drop(kept.remove(name)),
                value => drop(kept.insert(name.to_owned(), value.to_owned())),
            }
        }
        Ok(answer)
    }

    fn cookies(&self) -> String {
        let kept = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs: Vec<String> =
            kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

async fn send(
    contoso: &Contoso,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Result<PageResponse, TestError> {
    let answer = contoso.world.microsoft.network.send(request.body(body.into())?).await?;
    let (parts, body) = answer.into_parts();
    let text = String::from_utf8(body.to_vec())?;
    Ok(PageResponse { status: parts.status.as_u16(), headers: parts.headers, text })
}

fn address(step: &str) -> String {
    let slash = if step.is_empty() || step.starts_with('?') { "" } else { "/" };
    format!("https://{APP_HOST}{PAGES}{slash}{step}")
}

impl Contoso {
    /// An administrator changes the policy.
    async fn set_policy(&self, change: impl FnOnce(&mut TenantPolicy)) -> Result<(), TestError> {
        self.update_tenant(|tenant| change(&mut tenant.policy)).await
    }

    async fn update_tenant(&self, change: impl FnOnce(&mut Tenant)) -> Result<(), TestError> {
        let store = Arc::clone(&self.world.raw_tables);
        let tenants = Tenants::new(store, Arc::new(self.world.clock.clone()));
        let mut row = tenants.get(self.tenant_id()?).await?.ok_or("not connected")?;
        change(&mut row);
        tenants.upsert(&row).await?;
        // The workers believe what they read for a minute.
        self.run_for(crate::contoso::minutes(2)).await;
        Ok(())
    }

    /// What waits in a queue is lost, as with a process that was killed before it sent anything.
    fn drop_messages(&self, queue: Queue) {
        let shelf = QueueKind::Main(queue);
        let hidden = std::time::Duration::from_secs(60);
        for message in self.world.memory_outbox.receive(shelf, 32, hidden) {
            assert!(self.world.memory_outbox.delete(shelf, &message.receipt));
        }
    }

    /// Where the mailbox of `person` stands; `None` without a row.
    async fn mailbox_state(&self, person: &Mailbox) -> Option<MailboxState> {
        self.mailbox(person).await.ok().map(|row| row.state)
    }

    /// What was decided about the calendar of `person`, in order.
    async fn decisions_about(&self, person: &Mailbox) -> Result<Vec<DecisionKind>, TestError> {
        let register = Register::new(Arc::clone(&self.world.raw_tables));
        let about = register.list_about(self.tenant_id()?, person.id().parse()?).await?;
        Ok(about.into_iter().map(|decision| decision.kind).collect())
    }

    /// A good token of `person` for the API.
    fn token(&self, person: &Mailbox) -> String {
        self.token_with(person, &ApiTokenSpec::default())
    }

    fn token_with(&self, person: &Mailbox, spec: &ApiTokenSpec) -> String {
        self.world.microsoft.entra.api_token(person.tenant_id(), person.id(), spec)
    }

    /// Calls the API.
    async fn call(
        &self,
        method: Method,
        token: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<PageResponse, TestError> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(address(&format!("api{query}")))
            .header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        send(self, request, body.map(|body| body.to_string()).unwrap_or_default()).await
    }
}

/// Contoso, which keeps subjects and addresses.
async fn contoso_keeping_content() -> Result<Contoso, TestError> {
    use roombridge::domain::policy::{PeoplePolicy, SubjectPolicy};
    let (subject, people) = (SubjectPolicy::Keep, PeoplePolicy::Addresses);
    Contoso::builder()
        .content(ContentPolicy { subject, people, ..ContentPolicy::default() })
        .open()
        .await
}
