//! Connecting: to the admin consent endpoint, back, and the proof.
//!
//! We believe nothing that the browser brings back. It only says which round trip is over. A fresh
//! token and a harmless call prove that access was granted; until they succeed nothing is written, and
//! the browser may ask for the proof again.

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};

use super::{
    authz,
    deps::{Deps, SharedDeps, TEXT_VERSION},
    policy::{policy_changes, record_changes},
};
use crate::{
    base::invocation::{Invocation, RequestInvocation},
    domain::{
        keys::Digest,
        tenant::{TenantPolicy, TenantState, decision::DecisionKind, policy::Registration},
    },
    graph::GraphError,
    identity::sign_in::{CallbackQuery, PendingFlow, UnverifiedConsent},
    messages::TenantTaskKind,
    store::tenants::{Tenant, TenantConnection},
    web::layout::{
        CurrentUser, Field, Frame, PageError, VerifiedForm, html, html_with_status, with_cookie,
    },
};

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage<'a> {
    frame: Frame<'a>,
    consent_url: &'a str,
}

#[derive(Template)]
#[template(path = "grant-pending.html")]
struct GrantPendingPage<'a> {
    frame: Frame<'a>,
    retry_url: String,
}

/// POST `connect`: the page with the link to Entra. A link and no redirect, because browsers apply
/// `form-action` to redirects that follow a form.
pub(super) async fn begin(
    State(deps): State<SharedDeps>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
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
    if tenant.is_some_and(|tenant| tenant.state == TenantState::Disconnecting) {
        return Ok(deps.pages.see_other("disconnect"));
    }
    let (address, pending) = deps.admin_consent.begin(registration, user.tenant());
    let pending = PendingFlow::Consent(pending.with_rehearsal(form.is_checked("rehearsal")));
    let cookie = deps.pages.sessions().seal_pending(&pending).await?;
    let frame = deps.pages.frame(deps.pages.texts().connect.title).for_user(user);
    let page = html(&ConnectPage { frame, consent_url: address.as_str() })?;
    Ok(with_cookie(page, cookie))
}

/// GET `granted`, and GET `prove` for the same once more: back from Entra.
pub(super) async fn callback(
    State(deps): State<SharedDeps>,
    Extension(request): Extension<RequestInvocation>,
    user: CurrentUser,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let invocation = request.for_tenant(user.tenant());
    match complete_consent(&deps, &invocation, &user, &headers, &query).await {
        Ok(ConsentOutcome::Connected) => {
            with_cookie(deps.pages.see_other(""), deps.pages.sessions().clear_pending())
        }
        // The flow continues: its cookie stays until the proof succeeds or the flow expires.
        Ok(ConsentOutcome::GrantPending) => {
            grant_pending_page(&deps, &user, &query).into_response()
        }
        Err(temporary @ (PageError::MicrosoftUnavailable | PageError::StorageUnavailable)) => {
            temporary.into_response()
        }
        Err(error) => with_cookie(error.into_response(), deps.pages.sessions().clear_pending()),
    }
}

enum ConsentOutcome {
    Connected,
    GrantPending,
}

async fn complete_consent(
    deps: &Deps,
    invocation: &Invocation,
    user: &CurrentUser,
    headers: &HeaderMap,
    query: &str,
) -> Result<ConsentOutcome, PageError> {
    authz::require_invited_admin(deps, user)?;
    let pending = match deps.pages.sessions().open_pending(headers).await? {
        Some(PendingFlow::Consent(pending)) => Some(pending),
        Some(PendingFlow::SignIn(_)) | None => None,
    };
    let pending = pending.filter(|pending| pending.tenant() == user.tenant());
    let granted = deps.admin_consent.finish(pending, &CallbackQuery::parse(query))?;
    let state_digest = Digest::of(&[granted.state_digest.as_bytes()]);
    let found = deps.tenants.get_with_etag(granted.tenant).await?;
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
    if !verify_access(deps, invocation, &granted).await? {
        return Ok(ConsentOutcome::GrantPending);
    }
    // The evidence first: a crash leaves an entry too many, never a connection without one.
    let (registration, text_version) = (granted.registration, TEXT_VERSION.to_owned());
    let decision = DecisionKind::Connected { registration, text_version: text_version.clone() };
    deps.record_decision(user, None, decision).await?;
    let now = deps.clock.now();
    let kept =
        found.as_ref().filter(|(tenant, _)| !matches!(tenant.state, TenantState::Deleted(_)));
    let policy = match kept {
        Some((tenant, _)) => tenant.policy.clone(),
        None => initial_policy(deps, user, &granted).await?,
    };
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
        policy,
    };
    match found {
        Some((_, etag)) => deps.tenants.replace(&tenant, &etag).await?,
        None => deps.tenants.insert(&tenant).await?,
    };
    deps.enqueue_tenant_task(invocation, TenantTaskKind::Connect).await?;
    Ok(ConsentOutcome::Connected)
}

/// The policy that a tenant starts with. The register keeps a rehearsal like any other choice.
async fn initial_policy(
    deps: &Deps,
    user: &CurrentUser,
    granted: &UnverifiedConsent,
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
    invocation: &Invocation,
    granted: &UnverifiedConsent,
) -> Result<bool, PageError> {
    let graph = deps.graph.for_tenant(granted.registration, invocation);
    let proof = async {
        graph.discard_cached_token().await?;
        graph.check_connection().await?;
        let grants = graph.calendar_grants().await?;
        Ok(granted.registration == Registration::Scoped || grants.read && grants.write)
    };
    match proof.await {
        Ok(proved) => Ok(proved),
        Err(GraphError::Disconnected | GraphError::AccessDenied) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

fn grant_pending_page(deps: &Deps, user: &CurrentUser, query: &str) -> Result<Response, PageError> {
    let frame = deps.pages.frame(deps.pages.texts().connect.not_yet_title).for_user(user);
    let retry_url = format!("{}?{query}", frame.link("prove"));
    html_with_status(StatusCode::ACCEPTED, &GrantPendingPage { frame, retry_url })
}
