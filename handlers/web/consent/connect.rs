//! Connecting: to the admin consent endpoint, back, and the proof.
//!
//! What the browser brings back is believed in nothing. It only says which round trip is over; that
//! access was granted is proved by a fresh token and a harmless call, and until that succeeds nothing
//! is written and the browser may ask for the proof again.

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};

use super::{Deps, Shared, TEXT_VERSION, gate, policy, sign::with_cookie};
use crate::{
    base::call_log::Trail,
    domain::{
        decision::What,
        keys::Digest,
        policy::Registration,
        tenancy::{TenantPolicy, TenantState},
    },
    graph::GraphError,
    identity::{admin_consent::Granted, session::Errand, sign_in::CallbackQuery},
    messages::TenantWork,
    store::tenants::{Connected, Tenant},
    web::layout::{Field, Frame, Posted, Problem, Visitor, html, html_with},
};

#[derive(Template)]
#[template(path = "connect.html")]
struct LeavePage<'a> {
    frame: Frame<'a>,
    address: &'a str,
}

#[derive(Template)]
#[template(path = "prove.html")]
struct NotYetPage<'a> {
    frame: Frame<'a>,
    again: String,
}

/// POST `connect`: the page with the link to Entra. A link and no redirect, because a browser holds
/// redirects that follow a form to `form-action`.
pub(super) async fn leave(State(deps): State<Shared>, posted: Posted) -> Result<Response, Problem> {
    let form = posted.form(&[Field::line("mode", 20), Field::line("rehearsal", 3)])?;
    let visitor = &posted.visitor;
    gate::administrator(&deps, visitor)?;
    let registration = match form.text("mode") {
        "organisation-wide" => Registration::OrganisationWide,
        "scoped" => Registration::Scoped,
        _ => return Err(Problem::BadForm),
    };
    let tenant = deps.tenants.get_uncached(visitor.tenant()).await?;
    if tenant.is_some_and(|tenant| tenant.state == TenantState::Leaving) {
        return Ok(deps.desk.see_other("disconnect"));
    }
    let (address, pending) = deps.admin_consent.begin(registration, visitor.tenant());
    let cookie = deps
        .desk
        .sessions()
        .seal_pending(&Errand::Consent(pending.rehearsing(form.ticked("rehearsal"))))
        .await?;
    let frame = deps.desk.frame(deps.desk.texts().connect.title).of(visitor);
    let page = html(&LeavePage { frame, address: address.as_str() })?;
    Ok(with_cookie(page, cookie))
}

/// GET `granted`, and GET `prove` for the same once more: back from Entra.
pub(super) async fn came_back(
    State(deps): State<Shared>,
    Extension(trail): Extension<Trail>,
    visitor: Visitor,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match finish(&deps, &trail, &visitor, &headers, &query).await {
        Ok(Proof::Done) => {
            with_cookie(deps.desk.see_other(""), deps.desk.sessions().forget_pending())
        }
        // The errand goes on: its cookie stays until the proof succeeds or its time is over.
        Ok(Proof::NotYet) => not_yet(&deps, &visitor, &query).into_response(),
        Err(later @ (Problem::MicrosoftUnavailable | Problem::StorageUnavailable)) => {
            later.into_response()
        }
        Err(problem) => with_cookie(problem.into_response(), deps.desk.sessions().forget_pending()),
    }
}

enum Proof {
    Done,
    NotYet,
}

async fn finish(
    deps: &Deps,
    trail: &Trail,
    visitor: &Visitor,
    headers: &HeaderMap,
    query: &str,
) -> Result<Proof, Problem> {
    gate::administrator(deps, visitor)?;
    let pending = match deps.desk.sessions().pending(headers).await? {
        Some(Errand::Consent(pending)) => Some(pending),
        Some(Errand::SignIn(_)) | None => None,
    };
    let pending = pending.filter(|pending| pending.tenant() == visitor.tenant());
    let granted = deps.admin_consent.finish(pending, &CallbackQuery::parse(query))?;
    let state = Digest::of(&[granted.state_digest.as_bytes()]);
    let found = deps.tenants.read(granted.tenant).await?;
    let used = |tenant: &Tenant| tenant.connected.as_ref().is_some_and(|c| c.state == state);
    match &found {
        Some((tenant, _)) if used(tenant) => return Err(Problem::ConsentUsed),
        Some((tenant, _)) if tenant.state == TenantState::Leaving => {
            return Err(Problem::NotConnected);
        }
        Some(_) | None => {}
    }
    if !is_proved(deps, trail, &granted).await? {
        return Ok(Proof::NotYet);
    }
    // The evidence first: a crash leaves an entry too many, never a connection without one.
    let (registration, text_version) = (granted.registration, TEXT_VERSION.to_owned());
    let what = What::Connected { registration, text_version: text_version.clone() };
    deps.decided(visitor, None, what).await?;
    let now = deps.clock.now();
    let connected = Connected { by: visitor.person(), at: now, text_version, state };
    let kept = found.as_ref().filter(|(tenant, _)| !matches!(tenant.state, TenantState::Left(_)));
    let policy = match kept {
        Some((tenant, _)) => tenant.policy.clone(),
        None => first_policy(deps, visitor, &granted).await?,
    };
    let tenant = Tenant {
        id: granted.tenant,
        state: TenantState::Active,
        registration,
        connected: Some(connected),
        checked_at: Some(now),
        policy,
    };
    match found {
        Some((_, etag)) => deps.tenants.replace(&tenant, &etag).await?,
        None => deps.tenants.insert(&tenant).await?,
    };
    deps.tell_tenant(granted.tenant, TenantWork::Connect).await?;
    Ok(Proof::Done)
}

/// What a tenant begins with; that it begins with a rehearsal is evidenced like any other choice.
async fn first_policy(
    deps: &Deps,
    visitor: &Visitor,
    granted: &Granted,
) -> Result<TenantPolicy, Problem> {
    let usual = TenantPolicy::default();
    let policy = TenantPolicy { rehearsal: granted.rehearsal, ..usual.clone() };
    policy::evidence(deps, visitor, policy::differences(&usual, &policy)).await?;
    Ok(policy)
}

/// Whether the tenant lets us in by this registration: a token of this moment, a harmless call, and
/// for the organisation-wide registration the calendar permissions in the token.
async fn is_proved(deps: &Deps, trail: &Trail, granted: &Granted) -> Result<bool, Problem> {
    let graph = deps.graph(granted.tenant, granted.registration, trail);
    let proved = async {
        graph.renew_token().await?;
        graph.is_connected().await?;
        let grants = graph.calendar_grants().await?;
        Ok(match granted.registration {
            Registration::OrganisationWide => grants.read && grants.write,
            Registration::Scoped => true,
        })
    };
    let proved: Result<bool, GraphError> = proved.await;
    match proved {
        Ok(proved) => Ok(proved),
        Err(GraphError::Disconnected | GraphError::Denied) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

fn not_yet(deps: &Deps, visitor: &Visitor, query: &str) -> Result<Response, Problem> {
    let frame = deps.desk.frame(deps.desk.texts().connect.not_yet_title).of(visitor);
    let again = format!("{}?{query}", frame.link("prove"));
    html_with(StatusCode::ACCEPTED, &NotYetPage { frame, again })
}
