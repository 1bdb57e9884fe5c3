//! The one page of `my-calendar`, as its template wants it.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use url::form_urlencoded;

use super::{
    AppState,
    agree::TEXT_VERSION,
    context::{DenialReason, RequestContext},
    eligibility::{Eligibility, ScopeStatus},
    stored_data::PersonalDataExport,
    summary::EligibilitySummary,
};
use crate::{
    domain::{
        decision::ConsentCapacity,
        personal::Personal,
        policy::{PeoplePolicy, PrivatePolicy, SubjectPolicy},
        tenancy::{ConsentMode, TenantPolicy, TenantState},
    },
    store::mailboxes::MailboxState,
    web::layout::{
        CurrentUser, DisplayTime, FieldError, Frame, PageError, html_with_status,
        texts::{MyCalendarTexts, Texts, fill},
    },
};

/// What the page says above everything else, and with which status it is sent.
pub(super) struct Flash {
    pub(super) status: StatusCode,
    pub(super) text: Option<&'static str>,
    pub(super) is_success: bool,
    pub(super) errors: Vec<FieldError>,
    /// The owner's address as it was typed.
    pub(super) owner: String,
}

impl Flash {
    fn none() -> Self {
        let (errors, owner) = (Vec::new(), String::new());
        Self { status: StatusCode::OK, text: None, is_success: true, errors, owner }
    }

    /// What a form has done, by the word that it was sent on with: any other word says nothing.
    pub(super) fn from_query(query: &str, texts: &'static Texts) -> Self {
        let t = &texts.my_calendar;
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let done = fields.find(|(name, _)| name == "done").map(|(_, done)| done);
        let text = match done.as_deref() {
            Some("agreed") => t.did_agree,
            Some("agreed-before") => t.did_agree_before,
            Some("withdrew") => t.did_withdraw,
            Some("erased") => t.did_erase,
            Some("left-before") => t.did_withdraw_before,
            Some("nothing") => t.did_nothing,
            Some("delegate") => t.did_delegate,
            Some("delegate-before") => t.did_delegate_before,
            Some(_) | None => return Self::none(),
        };
        Self { text: Some(text), ..Self::none() }
    }

    /// What is wrong with a form.
    pub(super) fn with_errors(errors: Vec<FieldError>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, errors, ..Self::none() }
    }

    /// Why nothing was done.
    pub(super) fn denied(reason: DenialReason, texts: &'static Texts) -> Self {
        let t = &texts.my_calendar;
        let text = match reason {
            DenialReason::TenantUnknown => texts.errors.not_connected.happened,
            DenialReason::TenantSuspended => t.denied_suspended,
            DenialReason::TenantLeaving => t.denied_leaving,
            DenialReason::OutOfScope => t.denied_out_of_scope,
            DenialReason::Excluded => t.denied_excluded,
            DenialReason::RoomMailbox => t.denied_room,
            DenialReason::TextChanged => t.denied_text_changed,
            DenialReason::DelegatesOff => t.denied_delegates_off,
            DenialReason::OwnerUnknown => t.denied_owner_unknown,
            DenialReason::OwnCalendar => t.denied_own_calendar,
            DenialReason::NotDelegate => t.denied_no_delegation,
            DenialReason::DelegationUnreadable => t.denied_delegation_unreadable,
            DenialReason::OwnerNotNotified => t.denied_owner_not_notified,
            DenialReason::OwnerWithdrew => t.denied_owner_withdrew,
        };
        Self { text: Some(text), is_success: false, ..Self::none() }
    }
}

/// What a signed-in person sees.
struct MyCalendarView {
    /// What the organisation has switched on.
    switched_on: Vec<&'static str>,
    /// Why less than usual is possible.
    limits: Vec<&'static str>,
    /// How it stands, in sentences.
    status: Vec<String>,
    may_agree: bool,
    may_withdraw: bool,
    may_delegate: bool,
    stored: PersonalDataExport,
}

#[derive(Template)]
#[template(path = "my-calendar.html")]
struct MyCalendarPage<'a> {
    frame: Frame<'a>,
    t: &'static MyCalendarTexts,
    flash: Flash,
    version: &'static str,
    view: Option<MyCalendarView>,
}

impl MyCalendarPage<'_> {
    fn format_time(&self, at: &Timestamp) -> String {
        DisplayTime(*at).to_string()
    }

    fn fill_in(&self, text: impl AsRef<str>, name: &str, value: impl AsRef<str>) -> String {
        fill(text.as_ref(), &[(name, value.as_ref())])
    }
}

/// The page, for anybody (`visit` is `None`) or for who is signed in.
pub(super) async fn render(
    state: &AppState,
    user: Option<&CurrentUser>,
    ctx: Option<&RequestContext<'_>>,
    flash: Flash,
) -> Result<Response, PageError> {
    let texts = state.pages.texts();
    let mut frame = state.pages.frame(texts.my_calendar.title);
    if let Some(visitor) = user {
        frame = frame.for_user(visitor);
    }
    let view = match ctx {
        Some(visit) => Some(load_view(visit, texts).await?),
        None => None,
    };
    let status = flash.status;
    let page = MyCalendarPage { frame, t: &texts.my_calendar, flash, version: TEXT_VERSION, view };
    html_with_status(status, &page)
}

async fn load_view(
    ctx: &RequestContext<'_>,
    texts: &'static Texts,
) -> Result<MyCalendarView, PageError> {
    let standing = ctx.eligibility_of(ctx.person).await?;
    let stored = ctx.export().await?;
    let t = &texts.my_calendar;
    let active = standing.tenant.state.is_active();
    let leaving = standing.tenant.state == TenantState::Disconnecting;
    let person = standing.scope != ScopeStatus::RoomMailbox;
    let enrolled = standing.tenant.policy.consent == ConsentMode::Organisation;
    let status = status(ctx, &standing, t).await;
    let agreed_alone = standing.consent_kind() != Some(ConsentCapacity::Own);
    let state = standing.state();
    let followed = state == Some(MailboxState::Active);
    Ok(MyCalendarView {
        switched_on: switched_on(&standing.tenant.policy, t),
        limits: limits(&standing, t),
        status,
        may_agree: standing.check_may_agree().is_ok() && (!followed || agreed_alone && !enrolled),
        may_withdraw: person && !leaving && (standing.mailbox.is_some() || enrolled),
        may_delegate: active && EligibilitySummary::of(&standing).delegates,
        stored,
    })
}

fn switched_on(policy: &TenantPolicy, t: &'static MyCalendarTexts) -> Vec<&'static str> {
    let mut all = vec![match policy.consent {
        ConsentMode::OptIn => t.on_opt_in,
        ConsentMode::Organisation => t.on_organisation,
    }];
    all.push(match policy.content.subject {
        SubjectPolicy::Drop => t.subject_dropped,
        SubjectPolicy::Keep => t.subject_kept,
        SubjectPolicy::Replace(_) => t.subject_replaced,
    });
    all.push(match policy.content.people {
        PeoplePolicy::Count => t.people_count,
        PeoplePolicy::Organizer => t.people_organizer,
        PeoplePolicy::Addresses => t.people_addresses,
    });
    all.push(match policy.content.private {
        PrivatePolicy::WithoutSubject => t.private_without_subject,
        PrivatePolicy::Anonymous => t.private_anonymous,
    });
    if policy.delegate_consent && policy.mail_sender.is_some() {
        all.push(t.on_delegates);
    }
    all
}

fn limits(eligibility: &Eligibility, t: &'static MyCalendarTexts) -> Vec<&'static str> {
    let mut all = Vec::new();
    match eligibility.tenant.state {
        TenantState::Active => {}
        TenantState::Suspended(_) => all.push(t.suspended),
        TenantState::Disconnecting | TenantState::Deleted(_) => all.push(t.leaving),
    }
    match &eligibility.scope {
        ScopeStatus::InScope | ScopeStatus::Unknown(None) => {}
        ScopeStatus::OutOfScope => all.push(t.out_of_scope),
        ScopeStatus::Excluded => all.push(t.excluded),
        ScopeStatus::RoomMailbox => all.push(t.room),
        ScopeStatus::Unknown(Some(_)) => all.push(t.unknown),
    }
    all
}

async fn status(
    ctx: &RequestContext<'_>,
    eligibility: &Eligibility,
    t: &'static MyCalendarTexts,
) -> Vec<String> {
    let state = match eligibility.state() {
        None => t.is_none,
        Some(MailboxState::Active) => t.is_active,
        Some(MailboxState::Paused) => t.is_paused,
        Some(MailboxState::Withdrawn(_)) => t.is_withdrawn,
        Some(MailboxState::Erased(..)) => t.is_erased,
    };
    let mut all = vec![state.to_owned()];
    let consent = eligibility.mailbox.as_ref().filter(|_| eligibility.consent_kind().is_some());
    if let Some(consent) = consent.and_then(|(mailbox, _)| mailbox.consent.as_ref()) {
        let who = match consent.capacity {
            ConsentCapacity::Delegate => {
                ctx.display_name(&eligibility.tenant, consent.given_by).await
            }
            ConsentCapacity::Own | ConsentCapacity::Organisation => Personal::default(),
        };
        let text = match consent.capacity {
            ConsentCapacity::Own => t.by_own,
            ConsentCapacity::Delegate => t.by_delegate,
            ConsentCapacity::Organisation => t.by_organisation,
        };
        let at = DisplayTime(consent.given_at).to_string();
        let values =
            [("at", at.as_str()), ("version", &consent.text_version), ("who", who.reveal())];
        all.push(fill(text, &values));
    }
    all
}
