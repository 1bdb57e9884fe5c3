//! Connecting: to the admin consent endpoint, back, and the proof.
//!
//! We believe nothing that the browser brings back. It only says which round trip is over. A fresh
//! token and a harmless call prove that access was granted; until they succeed nothing is written, and
//! the browser may ask for the proof again.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};

use super::{
    authz,
    deps::Deps,
    policy::{policy_changes, record_changes},
};
use crate::{
    domain::{
        keys::Digest,
        tenant::{TenantPolicy, TenantState, decision::DecisionKind, policy::Registration},
    },
    graph::GraphError,
    identity::sign_in::{CallbackQuery, ConsentRequest},
    messages::TenantTaskKind,
    store::tenants::{Tenant, TenantConnection},
    web::layout::{
        CurrentUser, Field, Frame, PageError, PageResult, VerifiedForm, html_with_status,
        with_cookie,
    },
};

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage<'a> {
    frame: Frame<'a>,
    /// Whether the administrator is back, but the grants do not work yet.
    pending: bool,
    /// Of the consent at Entra, or of the next try.
    address: String,
}

/// POST `connect`: the page with the link to Entra. A link and no redirect, because browsers apply
/// `form-action` to redirects that follow a form.
pub(super) async fn begin(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form =
        posted.parse(&[Field::single_line("mode", 20), Field::single_line("rehearsal", 3)])?;
    let user = &posted.user;
    authz::require_invited_admin(&deps, user)?;
    let registration = match form.text("mode") {
        "organisation-wide" => Registration::OrganisationWide,
        "scoped" => Registration::Scoped,
        _ => return Err(PageError::MalformedForm),
    };
    let tenant = deps.tenants.get_uncached(user.tenant()).await?;
    // Its data is being deleted: a connection in between would be half deleted with it.
    if tenant.is_some_and(|tenant| tenant.state == TenantState::Disconnecting) {
        return Ok(deps.pages.see_other("disconnect"));
    }
    // For the tenant of the session alone: what comes back is compared with it.
    let (tenant, rehearsal) = (user.tenant(), form.is_checked("rehearsal"));
    let (address, pending) =
        deps.admin_consent.begin(ConsentRequest { tenant, registration, rehearsal });
    let cookie = deps.pages.sessions.seal_pending(&pending).await?;
    let frame = deps.pages.frame(deps.pages.texts().connect.title, Some(user));
    let page = ConnectPage { frame, pending: false, address: address.into() };
    Ok(with_cookie(html_with_status(StatusCode::OK, &page)?, cookie))
}

/// GET `granted`, and GET `prove` for the same once more: back from Entra.
pub(super) async fn callback(
    State(deps): State<Arc<Deps>>,
    user: CurrentUser,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let result = match complete_consent(&deps, &user, &headers, &query).await {
        Ok(true) => Ok(deps.pages.see_other("")),
        // The flow continues: its cookie stays until the proof succeeds or the flow expires.
        Ok(false) => return grant_pending_page(&deps, &user, &query).into_response(),
        Err(temporary @ (PageError::MicrosoftUnavailable | PageError::StorageUnavailable)) => {
            return temporary.into_response();
        }
        Err(error) => Err(error),
    };
    with_cookie(result.into_response(), deps.pages.sessions.clear_pending())
}

/// Whether the tenant is connected now; if not, its grants do not work yet.
async fn complete_consent(
    deps: &Deps,
    user: &CurrentUser,
    headers: &HeaderMap,
    query: &str,
) -> Result<bool, PageError> {
    authz::require_invited_admin(deps, user)?;
    let pending = deps.pages.sessions.open_pending(headers).await?;
    let query = CallbackQuery::parse(query);
    // The flow may be another person's who used this browser before: the tenant is compared too.
    let granted = deps.admin_consent.finish(pending, user.tenant(), &query);
    let (granted, state_digest) = granted.map_err(PageError::Consent)?;
    let state_digest = Digest::of(&[state_digest.as_bytes()]);
    let found = deps.tenants.get_with_etag(granted.tenant).await?;
    // The row keeps the state of the round trip that connected it: an answer of Entra counts once.
    let used = |tenant: &Tenant| {
        tenant.connection.as_ref().is_some_and(|c| c.state_digest == state_digest)
    };
    match &found {
        Some((tenant, _)) if used(tenant) => return Err(PageError::ConsentReplayed),
        Some((tenant, _)) if tenant.state == TenantState::Disconnecting => {
            return Err(PageError::NotConnected);
        }
        Some(_) | None => {}
    }
    if !verify_access(deps, user, &granted).await? {
        return Ok(false);
    }
    // The evidence first: a crash leaves an entry too many, never a connection without one.
    let (registration, text_version) = (granted.registration, deps.text_version());
    let decision = DecisionKind::Connected { registration, text_version: text_version.clone() };
    deps.record_decision(user, None, decision).await?;
    let now = deps.clock.now();
    let policy = match &found {
        // Connected already: in the other way, or again.
        Some((tenant, _)) if !matches!(tenant.state, TenantState::Deleted(_)) => {
            tenant.policy.clone()
        }
        // What was decided before an organisation left does not come back.
        Some(_) | None => initial_policy(deps, user, &granted).await?,
    };
    let systems = found.as_ref().map(|(tenant, _)| tenant.systems.clone()).unwrap_or_default();
    let tenant = Tenant {
        id: granted.tenant,
        state: TenantState::Active,
        registration,
        connection: Some(TenantConnection {
            connected_by: user.person(),
            connected_at: now,
            text_version,
            state_digest,
        }),
        access_checked_at: Some(now),
        comparing_since: None,
        policy,
        systems,
    };
    match found {
        Some((_, etag)) => deps.tenants.replace(&tenant, &etag).await?,
        None => deps.tenants.insert(&tenant).await?,
    };
    // Last: a worker that comes before the row would find no active tenant.
    deps.enqueue_tenant_task(user, TenantTaskKind::Connect).await?;
    Ok(true)
}

/// The policy that a tenant starts with. The register keeps a rehearsal like any other choice.
async fn initial_policy(
    deps: &Deps,
    user: &CurrentUser,
    granted: &ConsentRequest,
) -> Result<TenantPolicy, PageError> {
    let usual = TenantPolicy::default();
    let policy = TenantPolicy { rehearsal: granted.rehearsal, ..usual.clone() };
    record_changes(deps, user, policy_changes(&usual, &policy)).await?;
    Ok(policy)
}

/// Whether the tenant gives us access through this registration: a fresh token, a harmless call, and
/// for the organisation-wide registration the calendar permissions in the token.
async fn verify_access(
    deps: &Deps,
    user: &CurrentUser,
    granted: &ConsentRequest,
) -> Result<bool, PageError> {
    let graph = deps.graph.for_tenant(granted.registration, &user.invocation);
    match graph.access_loss().await {
        Ok(lost) => Ok(lost.is_none()),
        Err(GraphError::Disconnected | GraphError::TokenRejected | GraphError::AccessDenied) => {
            Ok(false)
        }
        Err(other) => Err(other.into()),
    }
}

fn grant_pending_page(deps: &Deps, user: &CurrentUser, query: &str) -> PageResult {
    let frame = deps.pages.frame(deps.pages.texts().connect.not_yet_title, Some(user));
    let address = format!("{}?{query}", frame.link("prove"));
    html_with_status(StatusCode::ACCEPTED, &ConnectPage { frame, pending: true, address })
}
