//! The register: who allowed access, when, to which text, withdrawn when; and every changed policy.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Serialize;

use super::{Deps, Shared, gate, table::line};
use crate::{
    domain::{
        decision::{Decision, How, What},
        policy::Registration,
        tenancy::SuspendedBecause,
    },
    web::layout::{Frame, Problem, Visitor, When, download, html},
};

/// One entry, in words that do not change with the language: it is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Entry {
    at: String,
    by: String,
    about: String,
    what: &'static str,
    text_version: String,
    detail: String,
    old: String,
    new: String,
}

const COLUMNS: [&str; 8] = ["at", "by", "about", "what", "text_version", "detail", "old", "new"];

impl Entry {
    fn cells(&self) -> [&str; 8] {
        let Self { at, by, about, what, text_version, detail, old, new } = self;
        [at, by, about, what, text_version, detail, old, new]
    }
}

impl From<Decision> for Entry {
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
        let farewell = |released| if released { "bookings released" } else { "bookings kept" };
        match decision.what {
            What::Connected { registration, text_version } => {
                entry.what = "connected";
                entry.text_version = text_version;
                entry.detail = match registration {
                    Registration::OrganisationWide => "organisation-wide",
                    Registration::Scoped => "scoped",
                }
                .to_owned();
            }
            What::Suspended(reason) => {
                entry.what = "suspended";
                entry.detail = match reason {
                    SuspendedBecause::TokenRefused => "token refused",
                    SuspendedBecause::CallRefused => "call refused",
                    SuspendedBecause::CalendarsMissing => "calendar permissions missing",
                }
                .to_owned();
            }
            What::Disconnected => entry.what = "disconnected",
            What::Deleted => entry.what = "deleted",
            What::PolicyChanged { policy, old, new } => {
                entry.what = "policy changed";
                (entry.detail, entry.old, entry.new) = (policy, old, new);
            }
            What::Agreed { how, text_version } => {
                entry.what = "agreed";
                entry.text_version = text_version;
                entry.detail = match how {
                    How::Own => "own calendar",
                    How::Delegate => "as a delegate",
                    How::Organisation => "for the organisation",
                }
                .to_owned();
            }
            What::Withdrew { released } => {
                entry.what = "withdrew";
                entry.detail = farewell(released).to_owned();
            }
            What::Erased { released } => {
                entry.what = "erased";
                entry.detail = farewell(released).to_owned();
            }
        }
        entry
    }
}

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    frame: Frame<'a>,
    /// Each with its instant for people: the entry's own is for the downloads.
    entries: Vec<(When, Entry)>,
}

/// GET `register`.
pub(super) async fn show(
    State(deps): State<Shared>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let decisions = decisions(&deps, &visitor).await?;
    let entries = decisions.into_iter().map(|decision| (When(decision.at), decision.into()));
    let entries = entries.collect();
    let t = deps.desk.texts();
    let sections = gate::sections(t);
    let frame = deps.desk.frame(t.register.title).of(&visitor).within(&sections, "register");
    html(&RegisterPage { frame, entries })
}

/// GET `register.csv`.
pub(super) async fn csv(State(deps): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let entries = entries(&deps, &visitor).await?;
    Ok(download("register.csv", "text/csv; charset=utf-8", table(&entries)))
}

/// GET `register.json`.
pub(super) async fn json(
    State(deps): State<Shared>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let entries = entries(&deps, &visitor).await?;
    let text = serde_json::to_string_pretty(&entries).map_err(|_| Problem::Internal)?;
    Ok(download("register.json", "application/json", text))
}

/// All decisions of the administrator's tenant. They stay readable after the tenant has left.
async fn decisions(deps: &Deps, visitor: &Visitor) -> Result<Vec<Decision>, Problem> {
    gate::may_leave(visitor)?;
    Ok(deps.register.all(visitor.tenant()).await?)
}

/// What the downloads hold.
async fn entries(deps: &Deps, visitor: &Visitor) -> Result<Vec<Entry>, Problem> {
    let decisions = decisions(deps, visitor).await?;
    Ok(decisions.into_iter().map(Entry::from).collect())
}

fn table(entries: &[Entry]) -> String {
    let lines = entries.iter().map(|entry| line(entry.cells().into_iter()));
    line(COLUMNS.into_iter()) + &lines.collect::<String>()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{MailboxId, TenantId};

    fn said(what: What) -> Entry {
        let at = "2026-11-24T09:00:00Z".parse().unwrap();
        let by = Some(MailboxId(Uuid::from_u128(1)));
        Decision { tenant: TenantId(Uuid::nil()), at, by, about: None, what }.into()
    }

    #[test]
    fn a_text_of_the_policy_becomes_no_formula() {
        let (old, new) = ("=HYPERLINK(\"x\")".to_owned(), "plain".to_owned());
        let entry = said(What::PolicyChanged { policy: "subject".to_owned(), old, new });
        let text = table(&[entry]);
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
            What::Connected { registration: Registration::Scoped, text_version: "1".into() },
            What::Suspended(SuspendedBecause::CallRefused),
            What::Disconnected,
            What::Deleted,
            What::Agreed { how: How::Delegate, text_version: "1".into() },
            What::Withdrew { released: true },
            What::Erased { released: false },
        ] {
            assert!(!said(what).what.is_empty());
        }
    }
}
