//! The register: who allowed access, when and to which text, who withdrew it, and every change of the
//! policy.

use askama::Template;
use axum::{extract::State, response::Response};
use futures::{StreamExt as _, stream};
use serde::Serialize;

use super::{
    authz,
    deps::{Deps, SharedDeps},
    export::{self, ExportRow},
};
use crate::{
    domain::tenant::{
        SuspensionReason,
        decision::{ConsentCapacity, Decision, DecisionKind},
        policy::Registration,
    },
    web::layout::{CurrentUser, DisplayTime, Frame, PageError, download, html},
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

impl ExportRow for RegisterEntry {
    const COLUMNS: &'static [&'static str] =
        &["at", "by", "about", "what", "text_version", "detail", "old", "new"];
}

impl From<Decision> for RegisterEntry {
    fn from(decision: Decision) -> Self {
        let id =
            |id: Option<_>, none: &str| id.map_or_else(|| none.to_owned(), |id| format!("{id}"));
        let mut entry = Self {
            at: decision.at.to_string(),
            by: id(decision.by, "Roombridge"),
            about: id(decision.about, "organisation"),
            what: "",
            text_version: String::new(),
            detail: String::new(),
            old: String::new(),
            new: String::new(),
        };
        let bookings = |released| if released { "bookings released" } else { "bookings kept" };
        match decision.kind {
            DecisionKind::Connected { registration, text_version } => {
                entry.what = "connected";
                entry.text_version = text_version;
                entry.detail = match registration {
                    Registration::OrganisationWide => "organisation-wide",
                    Registration::Scoped => "scoped",
                }
                .to_owned();
            }
            DecisionKind::Suspended(reason) => {
                entry.what = "suspended";
                entry.detail = match reason {
                    SuspensionReason::TokenRefused => "token refused",
                    SuspensionReason::CallRefused => "call refused",
                    SuspensionReason::CalendarPermissionMissing => "calendar permissions missing",
                }
                .to_owned();
            }
            DecisionKind::Disconnected => entry.what = "disconnected",
            DecisionKind::Deleted => entry.what = "deleted",
            DecisionKind::PolicyChanged { policy, old, new } => {
                entry.what = "policy changed";
                (entry.detail, entry.old, entry.new) = (policy, old, new);
            }
            DecisionKind::ConsentGranted { capacity: how, text_version } => {
                entry.what = "agreed";
                entry.text_version = text_version;
                entry.detail = match how {
                    ConsentCapacity::Own => "own calendar",
                    ConsentCapacity::Delegate => "as a delegate",
                    ConsentCapacity::Organisation => "for the organisation",
                }
                .to_owned();
            }
            DecisionKind::ConsentWithdrawn { released } => {
                entry.what = "withdrew";
                entry.detail = bookings(released).to_owned();
            }
            DecisionKind::Erased { released } => {
                entry.what = "erased";
                entry.detail = bookings(released).to_owned();
            }
        }
        entry
    }
}

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    frame: Frame<'a>,
    /// Each with its instant for people; the entry's own is for the downloads.
    entries: Vec<(DisplayTime, RegisterEntry)>,
}

/// GET `register`.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let decisions = load_decisions(&deps, &user).await?;
    let entries = decisions.into_iter().map(|decision| (DisplayTime(decision.at), decision.into()));
    html(&RegisterPage { frame: deps.frame(&user, "register"), entries: entries.collect() })
}

/// GET `register.csv`.
pub(super) async fn csv(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let entries = load_entries(&deps, &user).await?;
    export::csv("register.csv", stream::iter([Ok(entries)]).boxed()).await
}

/// GET `register.json`.
pub(super) async fn json(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let entries = load_entries(&deps, &user).await?;
    let text = serde_json::to_string_pretty(&entries).map_err(|_| PageError::Internal)?;
    Ok(download("register.json", "application/json", text))
}

/// All decisions of the administrator's tenant. They stay readable after the tenant has disconnected.
async fn load_decisions(deps: &Deps, user: &CurrentUser) -> Result<Vec<Decision>, PageError> {
    authz::require_admin(user)?;
    Ok(deps.register.list(user.tenant()).await?)
}

async fn load_entries(deps: &Deps, user: &CurrentUser) -> Result<Vec<RegisterEntry>, PageError> {
    let decisions = load_decisions(deps, user).await?;
    Ok(decisions.into_iter().map(RegisterEntry::from).collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{MailboxId, TenantId};

    fn entry(what: DecisionKind) -> RegisterEntry {
        let at = "2026-11-24T09:00:00Z".parse().unwrap();
        let by = Some(MailboxId(Uuid::from_u128(1)));
        Decision { tenant: TenantId(Uuid::nil()), at, by, about: None, kind: what }.into()
    }

    #[test]
    fn a_text_of_the_policy_becomes_no_formula() {
        let (old, new) = ("=HYPERLINK(\"x\")".to_owned(), "plain".to_owned());
        let entry = entry(DecisionKind::PolicyChanged { policy: "subject".to_owned(), old, new });
        let text = export::csv_text(&[entry], true).unwrap();
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
            DecisionKind::Disconnected,
            DecisionKind::Deleted,
            DecisionKind::ConsentGranted {
                capacity: ConsentCapacity::Delegate,
                text_version: "1".into(),
            },
            DecisionKind::ConsentWithdrawn { released: true },
            DecisionKind::Erased { released: false },
        ] {
            assert!(!entry(what).what.is_empty());
        }
    }
}
