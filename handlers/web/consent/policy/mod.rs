//! The policy of the tenant. An administrator changes the version that the page showed, and the
//! register keeps each change with its old and new value.

mod diff;
mod form;

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use futures::{StreamExt as _, stream};
use http::StatusCode;

use super::{authz, deps::Deps, exchange_commands::mail_commands, health::start_comparison};
use crate::{
    domain::{
        ids::{GroupId, MailboxId},
        personal::Personal,
        tenant::{TenantPolicy, decision::DecisionKind},
    },
    graph::{GraphError, TenantGraph},
    messages::TenantTaskKind,
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, FieldError, Form, Frame, PageError, PageResult, VerifiedForm, html,
        html_with_status,
        texts::{PolicyTexts, fill},
    },
};

use diff::policy_version;
use form::{FIELDS, addresses, from_policy, validate};

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
    /// Where the typed values differ from what somebody else saved: see [`policy_changes`].
    conflicts: Vec<(&'static str, String, String)>,
    saved: bool,
    mail_commands: Vec<String>,
}

/// GET `policy`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let saved = uri.query() == Some("saved");
    html(&PolicyPage { saved, ..page(&deps, &user, &tenant, from_policy(&tenant.policy)) })
}

/// POST `policy`.
pub(super) async fn save(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let (mut tenant, mut etag) = authz::require_connected_tenant(&deps, user).await?;
    let (mut policy, mut errors) = validate(&form, deps.pages.texts())?;
    let version = form.text("version").to_owned();
    // The directory is asked only about a form that could be saved.
    if errors.is_empty() {
        errors = resolve_addresses(&deps, user, &tenant, &form, &mut policy).await;
    }
    if !errors.is_empty() {
        let page = PolicyPage { version, errors, ..page(&deps, user, &tenant, form) };
        return html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let changes = policy_changes(&tenant.policy, &policy);
    // The start of a rehearsal counts what it would book, and its end books what is in the calendars.
    let rehearsal_changes = policy.rehearsal != tenant.policy.rehearsal;
    let compare = changes.is_empty() || rehearsal_changes;
    if !changes.is_empty() {
        // The row's ETag cannot say this: the form was shown long before the row was read just now.
        if version != policy_version(&tenant.policy) {
            return conflict_page(&deps, user, &tenant, form, changes);
        }
        // The evidence first: a crash leaves an entry too many, never a change without one.
        record_changes(&deps, user, changes).await?;
        tenant.policy = policy.clone();
        etag = match deps.tenants.replace(&tenant, &etag).await {
            // Somebody saved between our read and our write: what they chose is shown first.
            Err(error) if error.is_conflict() => {
                let (tenant, _) = authz::require_connected_tenant(&deps, user).await?;
                let changes = policy_changes(&tenant.policy, &policy);
                return conflict_page(&deps, user, &tenant, form, changes);
            }
            replaced => replaced?,
        };
    }
    if rehearsal_changes {
        // A comparison that runs began under the other policy: this one takes its place.
        tenant.comparing_since = None;
    }
    // Also when nothing changed: the task of an earlier save may not have been sent.
    if !(compare && start_comparison(&deps, user, tenant, &etag).await?) {
        let kind = TenantTaskKind::ReconcilePolicy { from: None };
        deps.enqueue_tenant_task(user, kind).await?;
    }
    Ok(deps.pages.see_other("policy?saved"))
}

/// Writes each change to the register.
pub(super) async fn record_changes(
    deps: &Deps,
    user: &CurrentUser,
    changes: Vec<(&'static str, String, String)>,
) -> Result<(), PageError> {
    for (name, old, new) in changes {
        let policy = name.to_owned();
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
    conflicts: Vec<(&'static str, String, String)>,
) -> PageResult {
    let page = PolicyPage { conflicts, ..page(deps, user, tenant, form) };
    html_with_status(StatusCode::CONFLICT, &page)
}

/// Completes `policy` with the mailboxes that the directory knows by the addresses in `form`; returns
/// the errors at their fields.
async fn resolve_addresses(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    form: &Form,
    policy: &mut TenantPolicy,
) -> Vec<FieldError> {
    let t = &deps.pages.texts().policy;
    let graph = &deps.graph.for_tenant(tenant.registration, &user.invocation);
    let (excluded, mail) = addresses(form);
    let mut errors = Vec::new();
    let unknown = |field: &str, name: &str| {
        FieldError::new(field, fill(t.mailbox_unknown, &[("name", name)]))
    };
    let failed = |field: &str, error| FieldError::new(field, directory_error_text(t, &error));
    let looked_up = stream::iter(excluded)
        .map(|address| async move { (find_mailbox(graph, &address).await, address) })
        .buffered(CONCURRENT_LOOKUPS)
        .collect::<Vec<_>>();
    for (found, address) in looked_up.await {
        match found {
            Ok(Some(id)) => drop(policy.excluded_mailboxes.insert(id)),
            Ok(None) => errors.push(unknown("excluded", &address)),
            Err(error) => errors.push(failed("excluded", error)),
        }
    }
    // A directory that does not answer fails for each address in the same words.
    errors.dedup();
    if let Some(name) = mail {
        // The form shows the id of the sender: what was not changed is not looked up again.
        let same = tenant.policy.mail_sender.filter(|sender| sender.to_string() == name);
        let sender = if same.is_some() { Ok(same) } else { find_mailbox(graph, name).await };
        match sender {
            Ok(None) => errors.push(unknown("mail", name)),
            Ok(sender) => policy.mail_sender = sender,
            Err(error) => errors.push(failed("mail", error)),
        }
    }
    let changed = |group: &GroupId| Some(*group) != tenant.policy.scope_group;
    if let Some(group) = policy.scope_group.filter(changed) {
        // A group that does not exist would silently pause everybody.
        match graph.list_users(Some(group), None).await {
            Ok(Some(_)) => {}
            Ok(None) => errors.push(FieldError::new("scope-group", t.no_such_group)),
            Err(error) => errors.push(failed("scope-group", error)),
        }
    }
    errors
}

async fn find_mailbox(graph: &TenantGraph, name: &str) -> Result<Option<MailboxId>, GraphError> {
    let found = graph.find_user(&Personal::new(name)).await?;
    Ok(found.map(|user| user.id))
}

/// Why the directory did not answer.
fn directory_error_text(t: &PolicyTexts, error: &GraphError) -> &'static str {
    match error {
        GraphError::Disconnected | GraphError::TokenRejected | GraphError::AccessDenied => {
            t.directory_denied
        }
        GraphError::Retry { .. }
        | GraphError::MailboxNotFound
        | GraphError::Refused { .. }
        | GraphError::Blocked(_)
        | GraphError::Unreadable => t.directory_unavailable,
    }
}
