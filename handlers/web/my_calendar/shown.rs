//! A standing in words that do not change, for programs and for the page's template.

use serde::Serialize;

use super::{
    agree::TEXT_VERSION,
    standing::{Bounds, Standing},
    stored::{how_word, state_word},
};
use crate::{
    domain::{
        policy::{PeoplePolicy, PrivatePolicy, SubjectPolicy},
        tenancy::{ConsentMode, TenantState},
    },
    web::layout::texts::ENGLISH,
};

/// What applies to somebody, in words.
#[derive(Serialize)]
pub(super) struct StandingShown {
    /// `active`, `suspended` or `leaving`.
    pub(super) organisation: &'static str,
    /// `opt_in` or `organisation`.
    pub(super) consent_mode: &'static str,
    /// `dropped`, `kept` or `replaced`.
    pub(super) subjects: &'static str,
    /// `count`, `organizer` or `addresses`.
    pub(super) people: &'static str,
    /// `without_subject` or `anonymous`.
    pub(super) private: &'static str,
    /// Whether a delegate may agree for an owner.
    pub(super) delegates: bool,
    /// `within`, `out_of_scope`, `excluded`, `room` or `unknown`.
    pub(super) scope: &'static str,
    /// `none`, `active`, `paused`, `withdrawn` or `erased`.
    pub(super) state: &'static str,
    /// `own`, `delegate` or `organisation`, while the calendar is followed.
    pub(super) consent: Option<&'static str>,
    /// The version of the text that people agree to now.
    pub(super) text_version: &'static str,
    /// That text.
    pub(super) text: &'static str,
}

impl StandingShown {
    /// `standing` in words.
    pub(super) fn of(standing: &Standing) -> Self {
        let policy = &standing.tenant.policy;
        Self {
            organisation: match standing.tenant.state {
                TenantState::Active => "active",
                TenantState::Suspended(_) => "suspended",
                TenantState::Leaving | TenantState::Left(_) => "leaving",
            },
            consent_mode: match policy.consent {
                ConsentMode::OptIn => "opt_in",
                ConsentMode::Organisation => "organisation",
            },
            subjects: match policy.content.subject {
                SubjectPolicy::Drop => "dropped",
                SubjectPolicy::Keep => "kept",
                SubjectPolicy::Replace(_) => "replaced",
            },
            people: match policy.content.people {
                PeoplePolicy::Count => "count",
                PeoplePolicy::Organizer => "organizer",
                PeoplePolicy::Addresses => "addresses",
            },
            private: match policy.content.private {
                PrivatePolicy::WithoutSubject => "without_subject",
                PrivatePolicy::Anonymous => "anonymous",
            },
            delegates: policy.delegates && policy.mail.is_some(),
            scope: match &standing.bounds {
                Bounds::Within => "within",
                Bounds::OutOfScope => "out_of_scope",
                Bounds::Excluded => "excluded",
                Bounds::Room => "room",
                Bounds::Unknown(_) => "unknown",
            },
            state: standing.state().map_or("none", state_word),
            consent: standing.consent().map(how_word),
            text_version: TEXT_VERSION,
            text: ENGLISH.my_calendar.agreement,
        }
    }
}
