//! What the tenant decides: shown, changed under the version that was seen, each change evidenced
//! with what it was and is.

mod diff;
mod form;

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, stream};
use http::StatusCode;

use super::{Deps, SharedDeps, authz, reach::commands};
use crate::{
    base::call_log::CallLog,
    domain::{decision::DecisionKind, ids::MailboxId, personal::Personal, tenancy::TenantPolicy},
    graph::{GraphError, TenantGraph},
    messages::{ReconcileCursor, TenantTaskKind},
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, FieldError, Form, Frame, PageError, VerifiedForm, html_with_status,
        texts::{Texts, fill},
    },
};

use diff::{PolicyChange, version};
use form::{FIELDS, PolicyDraft, PolicyForm};

pub(super) use diff::policy_changes;

/// Addresses that are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 8;

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage<'a> {
    frame: Frame<'a>,
    form: &'a PolicyForm,
    version: &'a str,
    errors: &'a [FieldError],
    /// What somebody else made different from what is typed.
    conflicts: &'a [PolicyChange],
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
    let typed = PolicyForm::from_policy(&tenant.policy);
    let shown =
        PolicyPageState { saved: query.as_deref() == Some("saved"), ..PolicyPageState::default() };
    render(&deps, &user, &tenant, &typed, shown)
}

/// POST `policy`.
pub(super) async fn save(
    State(deps): State<SharedDeps>,
    Extension(calls): Extension<CallLog>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    let form = posted.parse(FIELDS)?;
    let (visitor, t) = (&posted.user, deps.pages.texts());
    let (tenant, etag) = authz::require_connected_tenant(&deps, visitor).await?;
    let typed = PolicyForm::parse(&form);
    let (draft, mut errors) = typed.validate(t)?;
    errors.extend(input_errors(&form, t));
    let version = form.text("version");
    let mut policy = TenantPolicy::default();
    if errors.is_empty() {
        (policy, errors) = resolve_draft(&deps, &calls, &tenant, draft).await?;
    }
    if !errors.is_empty() {
        let shown = PolicyPageState {
            version: Some(version),
            errors: &errors,
            ..PolicyPageState::default()
        };
        return render(&deps, visitor, &tenant, &typed, shown);
    }
    let changes = policy_changes(&tenant.policy, &policy);
    // A rehearsal that begins is counted, and what is there when it ends is booked.
    let compare = changes.is_empty() || policy.rehearsal != tenant.policy.rehearsal;
    if !changes.is_empty() {
        if version != diff::version(&tenant.policy) {
            let shown = PolicyPageState { conflicts: &changes, ..PolicyPageState::default() };
            return render(&deps, visitor, &tenant, &typed, shown);
        }
        record_changes(&deps, visitor, changes).await?;
        let changed = Tenant { policy: policy.clone(), ..tenant };
        let replaced = deps.tenants.replace(&changed, &etag).await;
        if replaced.as_ref().is_err_and(|error| error.is_conflict()) {
            let (tenant, _) = authz::require_connected_tenant(&deps, visitor).await?;
            let elsewhere = policy_changes(&tenant.policy, &policy);
            let shown = PolicyPageState { conflicts: &elsewhere, ..PolicyPageState::default() };
            return render(&deps, visitor, &tenant, &typed, shown);
        }
        replaced?;
    }
    // Also when nothing is different: the task of an earlier save may not have been sent.
    let from = compare.then(|| ReconcileCursor { resync: true, ..ReconcileCursor::default() });
    deps.enqueue_tenant_task(visitor.tenant(), TenantTaskKind::ReconcilePolicy { from }).await?;
    Ok(deps.pages.see_other("policy?saved"))
}

/// Each change as an entry of the register.
///
/// # Errors
/// [`PageError`] when one was not written.
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

#[derive(Default)]
struct PolicyPageState<'a> {
    /// The version that the typed values were made from, where it is not the present one.
    version: Option<&'a str>,
    errors: &'a [FieldError],
    conflicts: &'a [PolicyChange],
    saved: bool,
}

fn render(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    form: &PolicyForm,
    view: PolicyPageState<'_>,
) -> Result<Response, PageError> {
    let t = deps.pages.texts();
    let sections = authz::sections(t);
    let current = version(&tenant.policy);
    let status = match (view.errors, view.conflicts) {
        ([], []) => StatusCode::OK,
        ([], _) => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let app = deps.registrations.client_id(tenant.registration);
    let page = PolicyPage {
        frame: deps.pages.frame(t.policy.title).for_user(user).with_sections(&sections, "policy"),
        form,
        version: view.version.unwrap_or(&current),
        errors: view.errors,
        conflicts: view.conflicts,
        saved: view.saved,
        mail_commands: commands::mail_commands(app, tenant.policy.mail_sender),
    };
    html_with_status(status, &page)
}

/// What is too long or cannot be typed, at its field.
fn input_errors(form: &Form, t: &Texts) -> Vec<FieldError> {
    let too_long = form.too_long().iter().map(|(field, max)| {
        FieldError::new(*field, fill(t.layout.too_long, &[("max", &max.to_string())]))
    });
    let hostile =
        form.invalid_chars().iter().map(|field| FieldError::new(*field, t.layout.invalid_chars));
    too_long.chain(hostile).collect()
}

/// The whole policy, with the mailboxes that the directory knows by the addresses in `draft`.
async fn resolve_draft(
    deps: &Deps,
    calls: &CallLog,
    tenant: &Tenant,
    draft: PolicyDraft,
) -> Result<(TenantPolicy, Vec<FieldError>), PageError> {
    let t = deps.pages.texts();
    let graph = &deps.graph(tenant.id, tenant.registration, calls);
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
    Ok(found.map(|person| person.id))
}

/// Why the directory did not say.
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
