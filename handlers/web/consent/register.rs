//! The register: who allowed access, when and to which text, who withdrew it, and every change of the
//! policy.

use std::{cmp::Reverse, sync::Arc};

use askama::Template;
use axum::{extract::State, http::Uri};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    authz,
    deps::Deps,
    export::{self, Pages},
};
use crate::{
    domain::{
        ids::MailboxId,
        tenant::{
            SuspensionReason,
            decision::{ConsentCapacity, Decision, DecisionKind, SystemChange},
            policy::Registration,
        },
    },
    web::layout::{CurrentUser, Frame, PageError, PageResult, html, parse_list_query},
};

/// One entry, in words that do not change with the language: it is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RegisterEntry {
    at: String,
    by: String,
    about: String,
    what: &'static str,
    text_version: String,
    detail: String,
    old: String,
    new: String,
}

const COLUMNS: &[&str] = &["at", "by", "about", "what", "text_version", "detail", "old", "new"];

impl From<Decision> for RegisterEntry {
    fn from(decision: Decision) -> Self {
        let id = |id: Option<MailboxId>| id.map(|id| id.to_string());
        // Not from the texts of the pages: evidence reads the same in every language.
        let bookings = |released| if released { "bookings released" } else { "bookings kept" };
        let (mut text_version, mut old, mut new) = Default::default();
        let (what, detail) = match &decision.kind {
            DecisionKind::Connected { registration, text_version: version } => {
                text_version = version.clone();
                let way = match registration {
                    Registration::OrganisationWide => "organisation-wide",
                    Registration::Scoped => "scoped",
                };
                ("connected", way)
            }
            DecisionKind::Suspended(reason) => {
                let reason = match reason {
                    SuspensionReason::TokenRefused => "token refused",
                    SuspensionReason::CallRefused => "call refused",
                    SuspensionReason::CalendarPermissionMissing => "calendar permissions missing",
                };
                ("suspended", reason)
            }
            DecisionKind::Resumed => ("resumed", ""),
            DecisionKind::Disconnected => ("disconnected", ""),
            DecisionKind::Deleted => ("deleted", ""),
            DecisionKind::PolicyChanged { policy, old: before, new: after } => {
                (old, new) = (before.clone(), after.clone());
                ("policy changed", policy.as_str())
            }
            DecisionKind::BookingSystem { change, system } => {
                new = system.clone();
                if let SystemChange::InUse { instead_of } = change {
                    old = instead_of.clone();
                }
                ("booking system", change.as_str())
            }
            DecisionKind::ConsentGranted { capacity, text_version: version } => {
                text_version = version.clone();
                let capacity = match capacity {
                    ConsentCapacity::Own => "own calendar",
                    ConsentCapacity::Delegate => "as a delegate",
                    ConsentCapacity::Organisation => "for the organisation",
                };
                ("agreed", capacity)
            }
            DecisionKind::ConsentWithdrawn { released } => ("withdrew", bookings(*released)),
            DecisionKind::Erased { released } => ("erased", bookings(*released)),
        };
        Self {
            at: decision.at.to_string(),
            by: id(decision.by).unwrap_or_else(|| "Roombridge".to_owned()),
            about: id(decision.about).unwrap_or_else(|| "organisation".to_owned()),
            what,
            text_version,
            detail: detail.to_owned(),
            old,
            new,
        }
    }
}

/// Entries that one page shows.
const PAGE_SIZE: usize = 200;
/// The oldest entry that a page shows, counted from the latest. All others are in the downloads.
const MAX_SHOWN: usize = 10_000;
/// The most entries that are read for a page, which takes 20 calls. The register is in order of persons,
/// so the latest entries of a longer one are not found without reading all of it.
const MAX_READ: usize = 20_000;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    frame: Frame<'a>,
    /// Each with its instant for people; the entry's own is for the downloads.
    entries: Vec<(Timestamp, RegisterEntry)>,
    /// Only the entries about the organisation are shown, because there are too many.
    without_people: bool,
    before: Option<usize>,
    after: Option<usize>,
}

/// GET `register`, which lists decisions from the n-th latest on: `?from=n`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let from = parse_list_query(uri.query(), "").0.min(MAX_SHOWN - PAGE_SIZE);
    let until = from + PAGE_SIZE;
    // One more, to know whether there is a next page.
    let all = latest_decisions(load_pages(&deps, &user)?, until + 1).await?;
    let without_people = all.is_none();
    let mut latest = match all {
        Some(latest) => latest,
        None => deps.register.list_about_tenant(user.tenant()).await?.into_iter().rev().collect(),
    };
    let has_more = latest.len() > until;
    latest.truncate(until);
    let entries = latest.into_iter().skip(from).map(|decision| (decision.at, decision.into()));
    html(&RegisterPage {
        frame: deps.frame(&user, "register"),
        entries: entries.collect(),
        without_people,
        before: (from > 0).then(|| from.saturating_sub(PAGE_SIZE)),
        after: Some(until).filter(|until| has_more && *until < MAX_SHOWN),
    })
}

/// The latest `count` decisions, the latest first; `None` when there are more than can be read for a page.
async fn latest_decisions(
    mut pages: Pages<Decision>,
    count: usize,
) -> Result<Option<Vec<Decision>>, PageError> {
    let (mut latest, mut read): (Vec<Decision>, _) = (Vec::new(), 0);
    while let Some(page) = pages.try_next().await? {
        read += page.len();
        if read > MAX_READ {
            return Ok(None);
        }
        latest.extend(page);
        latest.sort_by_key(|decision| Reverse(decision.at));
        latest.truncate(count);
    }
    Ok(Some(latest))
}

/// GET `register.csv`: every decision, person by person.
pub(super) async fn csv(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    export::csv("register.csv", COLUMNS, load_entries(&deps, &user)?).await
}

/// GET `register.json`.
pub(super) async fn json(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    export::json("register.json", load_entries(&deps, &user)?).await
}

/// All decisions of the administrator's tenant. They stay readable after the tenant has disconnected.
fn load_pages(deps: &Deps, user: &CurrentUser) -> Result<Pages<Decision>, PageError> {
    authz::require_admin(user)?;
    Ok(deps.decision_pages(user.tenant()))
}

fn load_entries(deps: &Deps, user: &CurrentUser) -> Result<Pages<RegisterEntry>, PageError> {
    let pages = load_pages(deps, user)?;
    Ok(pages.map_ok(|page| page.into_iter().map(RegisterEntry::from).collect()).boxed())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::TenantId;

    fn entry(what: DecisionKind) -> RegisterEntry {
        let at = "2026-11-24T09:00:00Z".parse().unwrap();
        let by = Some(MailboxId(Uuid::from_u128(1)));
        Decision { tenant: TenantId(Uuid::nil()), at, by, about: None, kind: what }.into()
    }

    #[test]
    fn a_text_of_the_policy_becomes_no_formula() {
        let (old, new) = ("=HYPERLINK(\"x\")".to_owned(), "plain".to_owned());
        let entry = entry(DecisionKind::PolicyChanged { policy: "subject".to_owned(), old, new });
        let text = export::csv_text(COLUMNS, &[entry]).unwrap();
        let mut lines = text.split("\r\n");
        assert_eq!(
            lines.next(),
            Some(r#""at","by","about","what","text_version","detail","old","new""#)
        );
        let expected = r#""2026-11-24T09:00:00Z","00000000-0000-0000-0000-000000000001","organisation","policy changed","","subject","'=HYPERLINK(""x"")","plain""#;
        assert_eq!(lines.next(), Some(expected));
    }

    #[test]
    fn every_kind_of_decision_has_words() {
        for what in [
            DecisionKind::Connected {
                registration: Registration::Scoped,
                text_version: "1".into(),
            },
            DecisionKind::Suspended(SuspensionReason::CallRefused),
            DecisionKind::Resumed,
            DecisionKind::Disconnected,
            DecisionKind::Deleted,
            DecisionKind::ConsentGranted {
                capacity: ConsentCapacity::Delegate,
                text_version: "1".into(),
            },
            DecisionKind::ConsentWithdrawn { released: true },
            DecisionKind::Erased { released: false },
            DecisionKind::BookingSystem {
                change: SystemChange::InUse { instead_of: "built-in".into() },
                system: "TOPdesk".into(),
            },
        ] {
            assert!(!entry(what).what.is_empty());
        }
    }
}
