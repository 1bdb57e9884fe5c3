//! The one page of `my-calendar`, as its template wants it.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use url::form_urlencoded;

use super::{
    Front,
    agree::TEXT_VERSION,
    shown::StandingShown,
    standing::{Bounds, Standing},
    stored::Stored,
    visit::{Refusal, Visit},
};
use crate::{
    domain::{
        decision::How,
        personal::Personal,
        policy::{PeoplePolicy, PrivatePolicy, SubjectPolicy},
        tenancy::{ConsentMode, TenantPolicy, TenantState},
    },
    store::mailboxes::MailboxState,
    web::layout::{
        FieldError, Frame, Problem, Visitor, When, html_with,
        texts::{MyCalendar, Texts, fill},
    },
};

/// What the page says above everything else, and with which status it is sent.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) text: Option<&'static str>,
    pub(super) good: bool,
    pub(super) errors: Vec<FieldError>,
    /// The owner's address as it was typed.
    pub(super) owner: String,
}

impl Told {
    fn nothing() -> Self {
        let (errors, owner) = (Vec::new(), String::new());
        Self { status: StatusCode::OK, text: None, good: true, errors, owner }
    }

    /// What a form has done, by the word that it was sent on with: any other word says nothing.
    pub(super) fn of_query(query: &str, texts: &'static Texts) -> Self {
        let t = &texts.my_calendar;
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let done = fields.find(|(name, _)| name == "done").map(|(_, done)| done);
        let text = match done.as_deref() {
            Some("agreed") => t.did_agree,
            Some("agreed-before") => t.did_agree_before,
            Some("withdrew") => t.did_withdraw,
            Some("erased") => t.did_erase,
            Some("left-before") => t.did_leave_before,
            Some("nothing") => t.did_nothing,
            Some("delegate") => t.did_delegate,
            Some("delegate-before") => t.did_delegate_before,
            Some(_) | None => return Self::nothing(),
        };
        Self { text: Some(text), ..Self::nothing() }
    }

    /// What is wrong with a form.
    pub(super) fn mistakes(errors: Vec<FieldError>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, errors, ..Self::nothing() }
    }

    /// Why nothing was done.
    pub(super) fn refused(refusal: Refusal, texts: &'static Texts) -> Self {
        let t = &texts.my_calendar;
        let text = match refusal {
            Refusal::TenantUnknown => texts.problems.not_connected.happened,
            Refusal::TenantSuspended => t.not_in_suspension,
            Refusal::TenantLeaving => t.not_while_leaving,
            Refusal::OutOfScope => t.not_in_scope,
            Refusal::Excluded => t.not_excluded,
            Refusal::Room => t.not_room,
            Refusal::OldText => t.not_old_text,
            Refusal::DelegatesOff => t.not_delegates,
            Refusal::OwnerUnknown => t.not_owner,
            Refusal::OwnCalendar => t.not_own,
            Refusal::NotDelegate => t.not_delegate,
            Refusal::ProofUnreadable => t.not_proved,
            Refusal::OwnerNotTold => t.not_told,
            Refusal::OwnerWithdrew => t.not_back,
        };
        Self { text: Some(text), good: false, ..Self::nothing() }
    }
}

/// What a signed-in person sees.
struct View {
    /// What the organisation has switched on.
    switched_on: Vec<&'static str>,
    /// Why less than usual is possible.
    limits: Vec<&'static str>,
    /// How it stands, in sentences.
    status: Vec<String>,
    may_agree: bool,
    may_leave: bool,
    may_delegate: bool,
    stored: Stored,
}

#[derive(Template)]
#[template(path = "my-calendar.html")]
struct Page<'a> {
    frame: Frame<'a>,
    w: &'static MyCalendar,
    told: Told,
    version: &'static str,
    view: Option<View>,
}

impl Page<'_> {
    fn when(&self, at: &Timestamp) -> String {
        When(*at).to_string()
    }

    fn filled(&self, text: impl AsRef<str>, name: &str, value: impl AsRef<str>) -> String {
        fill(text.as_ref(), &[(name, value.as_ref())])
    }
}

/// The page, for anybody (`visit` is `None`) or for who is signed in.
pub(super) async fn show(
    front: &Front,
    visitor: Option<&Visitor>,
    visit: Option<&Visit<'_>>,
    told: Told,
) -> Result<Response, Problem> {
    let texts = front.desk.texts();
    let mut frame = front.desk.frame(texts.my_calendar.title);
    if let Some(visitor) = visitor {
        frame = frame.of(visitor);
    }
    let view = match visit {
        Some(visit) => Some(view(visit, texts).await?),
        None => None,
    };
    let status = told.status;
    let page = Page { frame, w: &texts.my_calendar, told, version: TEXT_VERSION, view };
    html_with(status, &page)
}

async fn view(visit: &Visit<'_>, texts: &'static Texts) -> Result<View, Problem> {
    let standing = visit.standing_of(visit.person).await?;
    let stored = visit.stored().await?;
    let t = &texts.my_calendar;
    let active = standing.tenant.state.is_active();
    let leaving = standing.tenant.state == TenantState::Leaving;
    let person = standing.bounds != Bounds::Room;
    let enrolled = standing.tenant.policy.consent == ConsentMode::Organisation;
    let status = status(visit, &standing, t).await;
    let agreed_alone = standing.consent() != Some(How::Own);
    let state = standing.state();
    let followed = state == Some(MailboxState::Active);
    Ok(View {
        switched_on: switched_on(&standing.tenant.policy, t),
        limits: limits(&standing, t),
        status,
        may_agree: standing.may_agree().is_ok() && (!followed || agreed_alone && !enrolled),
        may_leave: person && !leaving && (standing.mailbox.is_some() || enrolled),
        may_delegate: active && StandingShown::of(&standing).delegates,
        stored,
    })
}

fn switched_on(policy: &TenantPolicy, t: &'static MyCalendar) -> Vec<&'static str> {
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
    if policy.delegates && policy.mail.is_some() {
        all.push(t.on_delegates);
    }
    all
}

fn limits(standing: &Standing, t: &'static MyCalendar) -> Vec<&'static str> {
    let mut all = Vec::new();
    match standing.tenant.state {
        TenantState::Active => {}
        TenantState::Suspended(_) => all.push(t.suspended),
        TenantState::Leaving | TenantState::Left(_) => all.push(t.leaving),
    }
    match &standing.bounds {
        Bounds::Within | Bounds::Unknown(None) => {}
        Bounds::OutOfScope => all.push(t.out_of_scope),
        Bounds::Excluded => all.push(t.excluded),
        Bounds::Room => all.push(t.room),
        Bounds::Unknown(Some(_)) => all.push(t.unknown),
    }
    all
}

async fn status(visit: &Visit<'_>, standing: &Standing, t: &'static MyCalendar) -> Vec<String> {
    let state = match standing.state() {
        None => t.is_none,
        Some(MailboxState::Active) => t.is_active,
        Some(MailboxState::Paused) => t.is_paused,
        Some(MailboxState::Withdrawn(_)) => t.is_withdrawn,
        Some(MailboxState::Erased(..)) => t.is_erased,
    };
    let mut all = vec![state.to_owned()];
    let consent = standing.mailbox.as_ref().filter(|_| standing.consent().is_some());
    if let Some(consent) = consent.and_then(|(mailbox, _)| mailbox.consent.as_ref()) {
        let who = match consent.how {
            How::Delegate => visit.name_of(&standing.tenant, consent.by).await,
            How::Own | How::Organisation => Personal::default(),
        };
        let text = match consent.how {
            How::Own => t.by_own,
            How::Delegate => t.by_delegate,
            How::Organisation => t.by_organisation,
        };
        let at = When(consent.at).to_string();
        let values =
            [("at", at.as_str()), ("version", &consent.text_version), ("who", who.reveal())];
        all.push(fill(text, &values));
    }
    all
}
