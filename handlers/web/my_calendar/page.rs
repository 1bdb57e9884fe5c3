//! The one page of `my-calendar`: what its template shows, and what it says after a form.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded;

use super::{
    consent_text::TEXT_VERSION,
    context::{Deps, RequestContext},
    eligibility::{Eligibility, ScopeStatus},
    error::{DenialReason, Error},
    stored_data::{
        OwnAppointment, PersonalDataExport, consent_kind_str, decision_words, state_str,
    },
};
use crate::{
    domain::{
        booking::{BookingOutcome, RefusalReason},
        interval::Interval,
        personal::Personal,
        tenant::{
            ConsentMode, TenantPolicy, TenantState,
            decision::ConsentCapacity,
            policy::{PeoplePolicy, PrivatePolicy, SubjectPolicy},
        },
    },
    store::mailboxes::{MailboxState, MailboxSubscription},
    web::layout::{
        CurrentUser, DisplayTime, FieldError, Frame, PageError, PageResult, html_with_status,
        texts::{MyCalendarTexts, Texts, fill},
    },
};

/// What the page says at its top, and with which status it is sent.
#[derive(Default)]
pub(super) struct Flash {
    pub(super) status: StatusCode,
    pub(super) text: Option<&'static str>,
    pub(super) errors: Vec<FieldError>,
    /// The owner's address as it was typed.
    pub(super) owner: String,
}

impl Flash {
    /// What a form has done, by the word in `?done=`. An unknown word says nothing.
    pub(super) fn from_query(query: &str, texts: &'static Texts) -> Self {
        let t = &texts.my_calendar;
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let done = fields.find(|(name, _)| name == "done").map(|(_, done)| done);
        // A word, never the text itself: a link must not make our page say what a stranger wrote.
        let text = match done.as_deref() {
            Some("agreed") => t.did_agree,
            Some("already-agreed") => t.did_agree_before,
            Some("withdrawn") => t.did_withdraw,
            Some("erased") => t.did_erase,
            Some("already-withdrawn") => t.did_withdraw_before,
            Some("nothing-stored") => t.did_nothing,
            Some("delegate-agreed") => t.did_delegate,
            Some("already-followed") => t.did_delegate_before,
            Some(_) | None => return Self::default(),
        };
        Self { text: Some(text), ..Self::default() }
    }

    /// The errors in a form.
    pub(super) fn with_errors(errors: Vec<FieldError>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, errors, ..Self::default() }
    }

    /// Why the rules denied a form.
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
        Self { status: StatusCode::CONFLICT, text: Some(text), ..Self::default() }
    }
}

/// What the page shows to a signed-in person.
struct MyCalendarView {
    switched_on: Vec<&'static str>,
    /// Why the person can do less than usual.
    limits: Vec<&'static str>,
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
    fn format_interval(&self, interval: &Interval) -> String {
        format!("{} – {}", DisplayTime(interval.start()), DisplayTime(interval.end()))
    }

    /// How many dates of a series are booked, and how many are not.
    fn format_series(&self, series: &OwnAppointment) -> String {
        let (booked, refused) = series.published_counts();
        let text = if refused > 0 { self.t.series_partly } else { self.t.series };
        fill(text, &[("booked", &booked.to_string()), ("refused", &refused.to_string())])
    }

    fn format_outcome(&self, outcome: &BookingOutcome) -> &'static str {
        match outcome {
            BookingOutcome::Booked => self.t.outcome_booked,
            BookingOutcome::Refused(RefusalReason::Conflict) => self.t.outcome_taken,
            BookingOutcome::Refused(RefusalReason::TooLong) => self.t.outcome_too_long,
            BookingOutcome::Refused(RefusalReason::SeriesConflicts) => self.t.outcome_series,
            BookingOutcome::Refused(RefusalReason::Rejected) => self.t.outcome_rejected,
            BookingOutcome::Released => self.t.outcome_released,
        }
    }

    fn format_renewal(&self, subscription: &MailboxSubscription) -> String {
        DisplayTime(subscription.renew_at()).to_string()
    }

    fn fill_in(&self, text: impl AsRef<str>, name: &str, value: impl AsRef<str>) -> String {
        fill(text.as_ref(), &[(name, value.as_ref())])
    }
}

/// The page for people who are not signed in.
pub(super) fn anonymous_page(deps: &Deps, flash: Flash) -> PageResult {
    render(deps, None, flash, None)
}

fn render(
    deps: &Deps,
    user: Option<&CurrentUser>,
    flash: Flash,
    view: Option<MyCalendarView>,
) -> PageResult {
    let (status, t) = (flash.status, &deps.pages.texts().my_calendar);
    let frame = deps.pages.frame(t.title, user);
    html_with_status(status, &MyCalendarPage { frame, t, flash, version: TEXT_VERSION, view })
}

/// The page of one signed-in user.
pub(super) struct UserPage<'a> {
    user: &'a CurrentUser,
    pub(super) ctx: RequestContext<'a>,
}

impl<'a> UserPage<'a> {
    pub(super) fn new(deps: &'a Deps, user: &'a CurrentUser) -> Self {
        let (invocation, person) = (user.invocation.clone(), user.person());
        Self { user, ctx: RequestContext { deps, invocation, person } }
    }

    pub(super) fn t(&self) -> &'static MyCalendarTexts {
        &self.ctx.deps.pages.texts().my_calendar
    }

    pub(super) async fn show(&self, flash: Flash) -> PageResult {
        let view = load_view(&self.ctx, self.t()).await?;
        render(self.ctx.deps, Some(self.user), flash, Some(view))
    }

    /// The answer to a form. What it has done is a word in the address of the page, so that reloading
    /// does nothing twice, see [`Flash::from_query`]. Why the rules denied it is said on the page
    /// itself; every other error has a page of its own.
    pub(super) async fn finish(&self, result: Result<&'static str, Error>) -> PageResult {
        let pages = &self.ctx.deps.pages;
        match result {
            Ok(done) => Ok(pages.see_other(&format!("?done={done}"))),
            // Without a tenant there is nothing that the page could show.
            Err(Error::Denied(reason)) if reason != DenialReason::TenantUnknown => {
                self.show(Flash::denied(reason, pages.texts())).await
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn load_view(
    ctx: &RequestContext<'_>,
    t: &'static MyCalendarTexts,
) -> Result<MyCalendarView, PageError> {
    let eligibility = ctx.eligibility_of(ctx.person).await?;
    let stored = ctx.export().await?;
    let Eligibility { tenant, scope, mailbox } = &eligibility;
    let disconnecting = tenant.state == TenantState::Disconnecting;
    let is_person = *scope != ScopeStatus::RoomMailbox;
    let organisation_agrees = tenant.policy.consent == ConsentMode::Organisation;
    let followed = eligibility.state() == Some(MailboxState::Active);
    // The owner's own consent may replace a delegate's.
    let may_replace =
        eligibility.consent_kind() != Some(ConsentCapacity::Own) && !organisation_agrees;
    Ok(MyCalendarView {
        switched_on: switched_on(&tenant.policy, t),
        limits: limits(&eligibility, t),
        status: status(ctx, &eligibility, t).await,
        may_agree: eligibility.check_may_agree().is_ok() && (!followed || may_replace),
        // Without a row too, where the organisation would enrol the person later.
        may_withdraw: is_person && !disconnecting && (mailbox.is_some() || organisation_agrees),
        may_delegate: tenant.state.is_active() && eligibility.allows_delegates(),
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
    let mailbox = eligibility.mailbox.as_ref().filter(|mailbox| mailbox.state.is_active());
    if let Some(consent) = mailbox.and_then(|mailbox| mailbox.consent.as_ref()) {
        // Only a delegate is named: the person is to judge whether that was right.
        let (text, who) = match consent.capacity {
            ConsentCapacity::Own => (t.by_own, Personal::default()),
            ConsentCapacity::Delegate => {
                (t.by_delegate, ctx.display_name(&eligibility.tenant, consent.given_by).await)
            }
            ConsentCapacity::Organisation => (t.by_organisation, Personal::default()),
        };
        let at = DisplayTime(consent.given_at).to_string();
        let values =
            [("at", at.as_str()), ("version", &consent.text_version), ("who", who.reveal())];
        all.push(fill(text, &values));
    }
    all
}
