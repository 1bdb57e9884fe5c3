//! What the tenant decides: shown, changed under the version that was seen, each change evidenced
//! with what it was and is.

mod typed;
mod words;

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, stream};
use http::StatusCode;

use super::{Deps, Shared, gate, reach::commands};
use crate::{
    base::call_log::Trail,
    domain::{decision::What, ids::MailboxId, personal::Personal, tenancy::TenantPolicy},
    graph::{GraphError, TenantGraph},
    messages::{Stage, TenantWork},
    store::tenants::Tenant,
    web::layout::{
        FieldError, Form, Frame, Posted, Problem, Visitor, html_with,
        texts::{Texts, fill},
    },
};

use typed::{Draft, FIELDS, Typed};
use words::{Difference, version};

pub(super) use words::differences;

/// Addresses that are looked up at the same time.
const AT_ONCE: usize = 8;

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage<'a> {
    frame: Frame<'a>,
    typed: &'a Typed,
    version: &'a str,
    errors: &'a [FieldError],
    /// What somebody else made different from what is typed.
    elsewhere: &'a [Difference],
    saved: bool,
    mail_commands: Vec<String>,
}

/// GET `policy`.
pub(super) async fn show(
    State(deps): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(&deps, &visitor).await?;
    let typed = Typed::of(&tenant.policy);
    let shown = Shown { saved: query.as_deref() == Some("saved"), ..Shown::default() };
    page(&deps, &visitor, &tenant, &typed, shown)
}

/// POST `policy`.
pub(super) async fn save(
    State(deps): State<Shared>,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Result<Response, Problem> {
    let form = posted.form(FIELDS)?;
    let (visitor, t) = (&posted.visitor, deps.desk.texts());
    let (tenant, etag) = gate::connected(&deps, visitor).await?;
    let typed = Typed::read(&form);
    let (draft, mut errors) = typed.check(t)?;
    errors.extend(unfit(&form, t));
    let version = form.text("version");
    let mut policy = TenantPolicy::default();
    if errors.is_empty() {
        (policy, errors) = found(&deps, &trail, &tenant, draft).await?;
    }
    if !errors.is_empty() {
        let shown = Shown { version: Some(version), errors: &errors, ..Shown::default() };
        return page(&deps, visitor, &tenant, &typed, shown);
    }
    let changes = differences(&tenant.policy, &policy);
    // A rehearsal that begins is counted, and what is there when it ends is booked.
    let compare = changes.is_empty() || policy.rehearsal != tenant.policy.rehearsal;
    if !changes.is_empty() {
        if version != words::version(&tenant.policy) {
            let shown = Shown { elsewhere: &changes, ..Shown::default() };
            return page(&deps, visitor, &tenant, &typed, shown);
        }
        evidence(&deps, visitor, changes).await?;
        let changed = Tenant { policy: policy.clone(), ..tenant };
        let replaced = deps.tenants.replace(&changed, &etag).await;
        if replaced.as_ref().is_err_and(|error| error.is_changed()) {
            let (tenant, _) = gate::connected(&deps, visitor).await?;
            let elsewhere = differences(&tenant.policy, &policy);
            let shown = Shown { elsewhere: &elsewhere, ..Shown::default() };
            return page(&deps, visitor, &tenant, &typed, shown);
        }
        replaced?;
    }
    // Also when nothing is different: the task of an earlier save may not have been sent.
    let from = compare.then(|| Stage { compare: true, ..Stage::default() });
    deps.tell_tenant(visitor.tenant(), TenantWork::Align { from }).await?;
    Ok(deps.desk.see_other("policy?saved"))
}

/// Each change as an entry of the register.
///
/// # Errors
/// [`Problem`] when one was not written.
pub(super) async fn evidence(
    deps: &Deps,
    visitor: &Visitor,
    changes: Vec<Difference>,
) -> Result<(), Problem> {
    for Difference { policy, old, new } in changes {
        let policy = policy.to_owned();
        deps.decided(visitor, None, What::PolicyChanged { policy, old, new }).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Shown<'a> {
    /// The version that the typed values were made from, where it is not the present one.
    version: Option<&'a str>,
    errors: &'a [FieldError],
    elsewhere: &'a [Difference],
    saved: bool,
}

fn page(
    deps: &Deps,
    visitor: &Visitor,
    tenant: &Tenant,
    typed: &Typed,
    shown: Shown<'_>,
) -> Result<Response, Problem> {
    let t = deps.desk.texts();
    let sections = gate::sections(t);
    let current = version(&tenant.policy);
    let status = match (shown.errors, shown.elsewhere) {
        ([], []) => StatusCode::OK,
        ([], _) => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let app = deps.registrations.client_id(tenant.registration);
    let page = PolicyPage {
        frame: deps.desk.frame(t.policy.title).of(visitor).within(&sections, "policy"),
        typed,
        version: shown.version.unwrap_or(&current),
        errors: shown.errors,
        elsewhere: shown.elsewhere,
        saved: shown.saved,
        mail_commands: commands::mail(app, tenant.policy.mail),
    };
    html_with(status, &page)
}

/// What is too long or cannot be typed, at its field.
fn unfit(form: &Form, t: &Texts) -> Vec<FieldError> {
    let too_long = form.too_long().iter().map(|(field, max)| {
        FieldError::new(*field, fill(t.layout.too_long, &[("max", &max.to_string())]))
    });
    let hostile = form.hostile().iter().map(|field| FieldError::new(*field, t.layout.hostile));
    too_long.chain(hostile).collect()
}

/// The whole policy, with the mailboxes that the directory knows by the addresses in `draft`.
async fn found(
    deps: &Deps,
    trail: &Trail,
    tenant: &Tenant,
    draft: Draft,
) -> Result<(TenantPolicy, Vec<FieldError>), Problem> {
    let t = deps.desk.texts();
    let graph = &deps.graph(tenant.id, tenant.registration, trail);
    let Draft { mut policy, excluded, mail } = draft;
    let mut errors = Vec::new();
    let looked_up = stream::iter(excluded).map(|address| async move {
        let found = look_up(graph, &address).await;
        (address, found)
    });
    let looked_up: Vec<_> = looked_up.buffered(AT_ONCE).collect().await;
    for (address, found) in looked_up {
        match found {
            Ok(Some(id)) => drop(policy.excluded.insert(id)),
            Ok(None) => {
                let text = fill(t.policy.nobody, &[("name", &address)]);
                errors.push(FieldError::new("excluded", text));
            }
            Err(error) => errors.push(FieldError::new("excluded", away(t, &error))),
        }
    }
    errors.dedup();
    if let Some(name) = mail {
        let same = tenant.policy.mail.filter(|sender| sender.to_string() == name);
        let sender = if same.is_some() { Ok(same) } else { look_up(graph, &name).await };
        match sender {
            Ok(None) => {
                let text = fill(t.policy.nobody, &[("name", &name)]);
                errors.push(FieldError::new("mail", text));
            }
            Ok(sender) => policy.mail = sender,
            Err(error) => errors.push(FieldError::new("mail", away(t, &error))),
        }
    }
    if let Some(group) =
        policy.scope_group.filter(|_| policy.scope_group != tenant.policy.scope_group)
    {
        match graph.people(Some(group), None).await {
            Ok(Some(_)) => {}
            Ok(None) => errors.push(FieldError::new("scope-group", t.policy.no_such_group)),
            Err(error) => errors.push(FieldError::new("scope-group", away(t, &error))),
        }
    }
    Ok((policy, errors))
}

async fn look_up(graph: &TenantGraph, name: &str) -> Result<Option<MailboxId>, GraphError> {
    let found = graph.person(&Personal::new(name)).await?;
    Ok(found.map(|person| person.id))
}

/// Why the directory did not say.
fn away(t: &Texts, error: &GraphError) -> &'static str {
    match error {
        GraphError::Disconnected | GraphError::Denied => t.policy.directory_refuses,
        GraphError::Wait { .. }
        | GraphError::MailboxGone
        | GraphError::Refused { .. }
        | GraphError::Forbidden(_)
        | GraphError::Unreadable => t.policy.directory_away,
    }
}
