//! What people decide about their own calendar, on the pages and through the API, as they see it.

mod agreeing;
mod api;
mod crashes;
mod delegating;
mod forms;
mod leaving;
mod races;
mod seeing;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::Method;
use roombridge::domain::tenant::TenantPolicy;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::policy::ContentPolicy;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::MailboxState;
use roombridge::store::register::Register;
use roombridge::store::tenants::{Tenant, Tenants};
use serde_json::Value;
use world::entra::ApiTokenSpec;
use world::exchange::Mailbox;
use world::memory::QueueKind;
use world::test_world::APP_HOST;

use crate::TestError;
use crate::contoso::Contoso;
use crate::http_browser::{Browser, Page, send};

const PAGES: &str = "/api/my-calendar";
/// The version of the text that people agree to in these stories.
const TEXT: &str = "2026-12";
/// More await points than any form has.
const MAX_AWAIT_POINTS: usize = 400;

/// Drives `work` to its await point number `point`, counted from 0: `None` then, and its result when
/// it ended before.
async fn run_to_await_point<T>(
    point: usize,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let mut points = 0;
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if points == point => Poll::Ready(None),
        Poll::Pending => {
            points += 1;
            Poll::Pending
        }
    })
    .await
}

impl Browser<'_> {
    async fn agree(&self) -> Result<Page, TestError> {
        self.submit("agree", &[("agree", "yes"), ("text_version", TEXT)]).await
    }
}

fn address(step: &str) -> String {
    let slash = if step.is_empty() || step.starts_with('?') { "" } else { "/" };
    format!("https://{APP_HOST}{PAGES}{slash}{step}")
}

impl Contoso {
    /// A browser in which nobody has signed in.
    fn visitor(&self) -> Browser<'_> {
        Browser::new(&self.world, "my-calendar")
    }

    /// A browser in which `person` has signed in.
    async fn signed_in(&self, person: &Mailbox) -> Result<Browser<'_>, TestError> {
        let browser = self.visitor();
        let back = browser.start_sign_in(person.id()).await?;
        let page = browser.get(back.as_str()).await?;
        assert_eq!((page.status, page.location()), (303, PAGES), "{}", page.text);
        Ok(browser)
    }

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
        // The workers cache what they read for a minute.
        self.run_for(crate::contoso::minutes(2)).await;
        Ok(())
    }

    /// What waits in a queue is lost, as with a process that was killed before it sent anything.
    fn drop_messages(&self, queue: Queue) {
        let kind = QueueKind::Main(queue);
        let hidden = std::time::Duration::from_secs(60);
        for message in self.world.memory_outbox.receive(kind, 32, hidden) {
            assert!(self.world.memory_outbox.delete(kind, &message.receipt));
        }
    }

    /// The state of the mailbox of `person`; `None` without a row.
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
    ) -> Result<Page, TestError> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(address(&format!("api{query}")))
            .header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        send(&self.world, request, body.map(|body| body.to_string()).unwrap_or_default()).await
    }
}

/// Contoso, which keeps subjects and addresses.
async fn contoso_keeping_content() -> Result<Contoso, TestError> {
    use roombridge::domain::tenant::policy::{PeoplePolicy, SubjectPolicy};
    let (subject, people) = (SubjectPolicy::Keep, PeoplePolicy::Addresses);
    Contoso::builder()
        .content(ContentPolicy { subject, people, ..ContentPolicy::default() })
        .open()
        .await
}
