//! The account and the other values of a connection. Login and password go into the vault and come back
//! nowhere.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use http::StatusCode;
use jiff::civil::Date;

use super::{
    ChosenSystem, MAX_SYSTEMS, PAGE, connection_version, find_system, query_value,
    replace_connection, utc_date,
};
use crate::{
    domain::{
        booking_system::{SystemConnection, SystemCredential},
        personal::Personal,
        tenant::decision::{DecisionKind, SystemChange},
    },
    settings::AllowedSystem,
    web::{
        consent::{authz, deps::Deps},
        layout::{
            CurrentUser, Field, FieldError, Form, Frame, MAX_ADDRESS_CHARS, PageError, PageResult,
            VerifiedForm, html, html_with_status,
            texts::{BookingSystemTexts, fill},
        },
    },
};

/// Calls a minute that a tenant can enter: more than any system grants.
const MAX_CALLS_PER_MINUTE: u32 = 100_000;

/// The version in the form of a system that is not connected yet.
const NEW: &str = "new";

const FIELDS: &[Field] = &[
    Field::single_line("system", 10),
    Field::single_line("version", 64),
    Field::single_line("address", 300),
    Field::single_line("login", 200),
    Field::single_line("password", 500),
    Field::single_line("ends", 10),
    Field::single_line("requester", MAX_ADDRESS_CHARS),
    Field::single_line("reason", 200),
    Field::single_line("per-minute", 6),
];

#[derive(Template)]
#[template(path = "booking-system-connection.html")]
struct SystemFormPage<'a> {
    frame: Frame<'a>,
    form: Form,
    system: String,
    version: String,
    /// The addresses to choose from, while nothing is connected.
    choices: Vec<(String, String)>,
    /// What is connected, whose address does not change: an account is sent where it was meant for.
    connected: Option<String>,
    errors: Vec<FieldError>,
}

/// GET `booking-system-connection`: of a new system, or of `?system=n`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let number = query_value(&uri, "system");
    if number.is_empty() {
        let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
        let number = tenant.systems.next_id().to_string();
        return html(&page(&deps, &user, Form::of([]), number, None)?);
    }
    let connection = find_system(&deps, &user, &number).await?.connection;
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let form = Form::of([
        ("ends", connection.account_ends.map_or_else(String::new, |ends| ends.to_string())),
        ("requester", connection.fallback_requester.clone()),
        ("reason", optional(&connection.cancellation_reason)),
        ("per-minute", optional(&connection.calls_per_minute.map(|calls| calls.to_string()))),
    ]);
    html(&page(&deps, &user, form, number, Some(&connection))?)
}

/// POST `booking-system-connection`.
pub(super) async fn save(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let (chosen, is_new) = find_or_begin(&deps, user, &form).await?;
    let before = (!is_new).then(|| chosen.connection.clone());
    let typed = TypedConnection::read(&deps, &form, chosen.connection.clone(), is_new);
    let typed = match typed {
        Ok(typed) => typed,
        Err(errors) => {
            let number = chosen.connection.id.to_string();
            let page =
                SystemFormPage { errors, ..page(&deps, user, form, number, before.as_ref())? };
            return html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    // The evidence first: a crash leaves an entry too many, never a connection without one.
    let change = if is_new { SystemChange::Connected } else { SystemChange::Changed };
    let system = typed.connection.name();
    deps.record_decision(user, None, DecisionKind::BookingSystem { change, system }).await?;
    // The row before the vault: of two administrators at once one gets the number, and no account is kept
    // for a system that it was not meant for.
    let chosen = ChosenSystem { connection: typed.connection, ..chosen };
    let mut chosen = replace_connection(&deps.tenants, chosen).await?;
    if let Some(credential) = typed.credential {
        let (tenant, system) = (user.tenant(), chosen.connection.id);
        deps.system_credentials.put(tenant, system, &credential).await?;
        chosen.connection.account_set_at = deps.clock.now();
        // What the last test said is about the account before.
        chosen.tenant.systems.checks.remove(&system);
        replace_connection(&deps.tenants, chosen).await?;
    }
    Ok(deps.pages.see_other("booking-system?saved"))
}

/// The connection that the form is about, and whether it is a new one. A form that was sent before is
/// refused: its version is of another connection by now.
async fn find_or_begin(
    deps: &Deps,
    user: &CurrentUser,
    form: &Form,
) -> Result<(ChosenSystem, bool), PageError> {
    let (number, version) = (form.text("system"), form.text("version"));
    if version != NEW {
        let chosen = find_system(deps, user, number).await?;
        if version != connection_version(&chosen.connection)? {
            return Err(PageError::Conflict);
        }
        return Ok((chosen, false));
    }
    let (tenant, etag) = authz::require_connected_tenant(deps, user).await?;
    let id = tenant.systems.next_id();
    if number != id.to_string() || tenant.systems.all.len() >= MAX_SYSTEMS {
        return Err(PageError::Conflict);
    }
    // Only what the operator allows, whatever a form says: an account is sent there.
    let address = form.text("address");
    let allowed = deps.allowed_systems.iter().find(|allowed| choice(allowed) == address);
    let connection = match allowed {
        Some(allowed) => {
            let base_url = allowed.base_url.to_string();
            SystemConnection::new(id, allowed.kind, base_url, deps.clock.now())
        }
        None => return Err(PageError::MalformedForm),
    };
    Ok((ChosenSystem { tenant, etag, connection }, true))
}

/// How the form names an allowed address.
fn choice(allowed: &AllowedSystem) -> String {
    format!("{}={}", allowed.kind.audit_name(), allowed.base_url)
}

/// The connection as it was typed, and the account if it is to change. No `Debug`: it is a secret.
struct TypedConnection {
    connection: SystemConnection,
    credential: Option<SystemCredential>,
}

impl TypedConnection {
    /// `known` with what the form says; what is wrong with that, at its fields.
    fn read(
        deps: &Deps,
        form: &Form,
        known: SystemConnection,
        is_new: bool,
    ) -> Result<Self, Vec<FieldError>> {
        let t = &deps.pages.texts().booking_system;
        let mut errors = form.input_errors(deps.pages.texts());
        let mut note = |field: &str, text: &str| errors.push(FieldError::new(field, text));
        let text = |name: &str| form.text(name).trim().to_owned();
        let (login, password) = (text("login"), form.text("password"));
        let credential = match (login.is_empty(), password.is_empty()) {
            (true, true) if !is_new => None,
            (false, false) => Some(SystemCredential {
                login: Personal::new(login),
                password: Personal::new(password),
            }),
            (no_login, _) => {
                let missing = if no_login { t.need_login } else { t.need_password };
                let missing = if is_new { missing } else { t.need_both };
                note(if no_login { "login" } else { "password" }, missing);
                None
            }
        };
        let today = utc_date(deps.clock.now());
        let account_ends =
            parse_end(t, &text("ends"), known.account_ends, today).unwrap_or_else(|message| {
                note("ends", message);
                None
            });
        let fallback_requester = text("requester");
        if fallback_requester.is_empty() {
            note("requester", t.need_requester);
        }
        let calls_per_minute = match text("per-minute").as_str() {
            "" => None,
            typed => {
                let calls = typed.parse().ok();
                let calls = calls.filter(|calls| (1..=MAX_CALLS_PER_MINUTE).contains(calls));
                if calls.is_none() {
                    let max = MAX_CALLS_PER_MINUTE.to_string();
                    note("per-minute", &fill(t.bad_number, &[("max", &max)]));
                }
                calls
            }
        };
        let cancellation_reason = Some(text("reason")).filter(|reason| !reason.is_empty());
        if !errors.is_empty() {
            if credential.is_some() {
                errors.push(FieldError::new("password", t.type_again));
            }
            return Err(errors);
        }
        let connection = SystemConnection {
            fallback_requester,
            cancellation_reason,
            calls_per_minute,
            account_ends,
            ..known
        };
        Ok(Self { connection, credential })
    }
}

/// The last day of a password. One that is over is a mistake, unless it is the one that is known.
fn parse_end(
    t: &BookingSystemTexts,
    typed: &str,
    known: Option<Date>,
    today: Date,
) -> Result<Option<Date>, &'static str> {
    if typed.is_empty() {
        return Ok(None);
    }
    let ends: Date = typed.parse().map_err(|_| t.bad_date)?;
    if ends < today && Some(ends) != known { Err(t.past_date) } else { Ok(Some(ends)) }
}

fn page<'a>(
    deps: &'a Deps,
    user: &'a CurrentUser,
    form: Form,
    number: String,
    connected: Option<&SystemConnection>,
) -> Result<SystemFormPage<'a>, PageError> {
    let t = &deps.pages.texts().booking_system;
    let title = if connected.is_some() { t.settings } else { t.connect };
    let choices = deps.allowed_systems.iter().map(|allowed| {
        (choice(allowed), format!("{}, {}", allowed.kind.product_name(), allowed.base_url))
    });
    Ok(SystemFormPage {
        frame: Frame { title, ..deps.frame(user, PAGE) },
        form,
        system: number,
        version: connected.map_or_else(|| Ok(NEW.to_owned()), connection_version)?,
        choices: choices.collect(),
        connected: connected.map(SystemConnection::name),
        errors: Vec::new(),
    })
}
