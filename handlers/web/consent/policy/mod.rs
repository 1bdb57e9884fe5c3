//! The policy of the tenant. An administrator changes the version that the page showed, and the
//! register keeps each change with its old and new value.

mod diff;
mod form;

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt as _, stream};
use http::StatusCode;

use super::{
    authz,
    deps::{Deps, SharedDeps},
    exchange_commands::mail_commands,
};
use crate::{
    base::invocation::{Invocation, RequestInvocation},
    domain::{
        ids::MailboxId,
        personal::Personal,
        tenant::{TenantPolicy, decision::DecisionKind},
    },
    graph::{GraphError, TenantGraph},
    messages::{ReconcileCursor, TenantTaskKind},
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, FieldError, Form, Frame, PageError, VerifiedForm, html, html_with_status,
        texts::{Texts, fill},
    },
};

use diff::{PolicyChange, policy_version};
use form::{FIELDS, PolicyDraft, from_policy, validate};

pub(super) use diff::policy_changes;

/// How many addresses are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 8;

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage<'a> {
    frame: Frame<'a>,
    form: Form,
    /// The version that the typed values started from.
    version: String,
    errors: Vec<FieldError>,
    /// Where the typed values differ from what somebody else saved.
    conflicts: Vec<PolicyChange>,
    saved: bool,
    mail_commands: Vec<String>,
}

/// GET `policy`.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let saved = query.as_deref() == Some("saved");
    html(&PolicyPage { saved, ..page(&deps, &user, &tenant, from_policy(&tenant.policy)) })
}

/// POST `policy`.
pub(super) async fn save(
    State(deps): State<SharedDeps>,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let (tenant, etag) = authz::require_connected_tenant(&deps, user).await?;
    let invocation = request.for_tenant(tenant.id);
    let (draft, mut errors) = validate(&form, deps.pages.texts())?;
    let version = form.text("version").to_owned();
    let mut policy = TenantPolicy::default();
    if errors.is_empty() {
        (policy, errors) = resolve_draft(&deps, &invocation, &tenant, draft).await?;
    }
    if !errors.is_empty() {
        let page = PolicyPage { version, errors, ..page(&deps, user, &tenant, form) };
        return html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let changes = policy_changes(&tenant.policy, &policy);
    // The start of a rehearsal counts what it would book, and its end books what is in the calendars.
    let compare = changes.is_empty() || policy.rehearsal != tenant.policy.rehearsal;
    if !changes.is_empty() {
        if version != policy_version(&tenant.policy) {
            return conflict_page(&deps, user, &tenant, form, changes);
        }
        record_changes(&deps, user, changes).await?;
        let changed = Tenant { policy: policy.clone(), ..tenant };
        match deps.tenants.replace(&changed, &etag).await {
            Err(error) if error.is_conflict() => {
                let (tenant, _) = authz::require_connected_tenant(&deps, user).await?;
                let changes = policy_changes(&tenant.policy, &policy);
                return conflict_page(&deps, user, &tenant, form, changes);
            }
            replaced => drop(replaced?),
        }
    }
    // Also when nothing changed: the task of an earlier save may not have been sent.
    let from = compare.then(|| ReconcileCursor { resync: true, ..ReconcileCursor::default() });
    deps.enqueue_tenant_task(&invocation, TenantTaskKind::ReconcilePolicy { from }).await?;
    Ok(deps.pages.see_other("policy?saved"))
}

/// Writes each change to the register.
pub(super) async fn record_changes(
    deps: &Deps,
    user: &CurrentUser,
    changes: Vec<PolicyChange>,
) -> Result<(), PageError> {
    for PolicyChange { name: policy, old, new } in changes {
        let policy = policy.to_owned();
        deps.record_decision(user, None, DecisionKind::PolicyChanged { policy, old, new }).await?;
    }
    Ok(())
}

/// The page that shows `form`.
fn page<'a>(deps: &'a Deps, user: &'a CurrentUser, tenant: &Tenant, form: Form) -> PolicyPage<'a> {
    let app = deps.registrations.client_id(tenant.registration);
    PolicyPage {
        frame: deps.frame(user, "policy"),
        form,
        version: policy_version(&tenant.policy),
        errors: Vec::new(),
        conflicts: Vec::new(),
        saved: false,
        mail_commands: mail_commands(app, tenant.policy.mail_sender),
    }
}

/// The page after somebody else changed the policy. It carries the present version, so that saving
/// again replaces `conflicts`.
fn conflict_page(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    form: Form,
    conflicts: Vec<PolicyChange>,
) -> Result<Response, PageError> {
    let page = PolicyPage { conflicts, ..page(deps, user, tenant, form) };
    html_with_status(StatusCode::CONFLICT, &page)
}

/// The whole policy, with the mailboxes that the directory knows by the addresses in `draft`; or the
/// errors at their fields.
async fn resolve_draft(
    deps: &Deps,
    invocation: &Invocation,
    tenant: &Tenant,
    draft: PolicyDraft,
) -> Result<(TenantPolicy, Vec<FieldError>), PageError> {
    let t = deps.pages.texts();
    let graph = &deps.graph.for_tenant(tenant.registration, invocation);
    let PolicyDraft { mut policy, excluded, mail } = draft;
    let mut errors = Vec::new();
    let looked_up = stream::iter(excluded).map(|address| async move {
        let found = find_mailbox(graph, &address).await;
        (address, found)
    });
    let looked_up: Vec<_> = looked_up.buffered(CONCURRENT_LOOKUPS).collect().await;
    for (address, found) in looked_up {
        match found {
            Ok(Some(id)) => drop(policy.excluded_mailboxes.insert(id)),
            Ok(None) => {
                let text = fill(t.policy.mailbox_unknown, &[("name", &address)]);
                errors.push(FieldError::new("excluded", text));
            }
            Err(error) => errors.push(FieldError::new("excluded", directory_error_text(t, &error))),
        }
    }
    errors.dedup();
    if let Some(name) = mail {
        let same = tenant.policy.mail_sender.filter(|sender| sender.to_string() == name);
        let sender = if same.is_some() { Ok(same) } else { find_mailbox(graph, &name).await };
        match sender {
            Ok(None) => {
                let text = fill(t.policy.mailbox_unknown, &[("name", &name)]);
                errors.push(FieldError::new("mail", text));
            }
            Ok(sender) => policy.mail_sender = sender,
            Err(error) => errors.push(FieldError::new("mail", directory_error_text(t, &error))),
        }
    }
    if let Some(group) =
        policy.scope_group.filter(|_| policy.scope_group != tenant.policy.scope_group)
    {
        match graph.list_users(Some(group), None).await {
            Ok(Some(_)) => {}
            Ok(None) => errors.push(FieldError::new("scope-group", t.policy.no_such_group)),
            Err(error) => {
                errors.push(FieldError::new("scope-group", directory_error_text(t, &error)))
            }
        }
    }
    Ok((policy, errors))
}

async fn find_mailbox(graph: &TenantGraph, name: &str) -> Result<Option<MailboxId>, GraphError> {
    let found = graph.find_user(&Personal::new(name)).await?;
    Ok(found.map(|user| user.id))
}

/// Why the directory did not answer.
fn directory_error_text(t: &Texts, error: &GraphError) -> &'static str {
    match error {
        GraphError::Disconnected | GraphError::AccessDenied => t.policy.directory_denied,
        GraphError::Retry { .. }
        | GraphError::MailboxNotFound
        | GraphError::Refused { .. }
        | GraphError::Blocked(_)
        | GraphError::Unreadable => t.policy.directory_unavailable,
    }
}
