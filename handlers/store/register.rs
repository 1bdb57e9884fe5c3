//! `Register`: what people decided, as evidence. A partition is a tenant; a row is the instant, the
//! kind and whom it is about, so that the rows of a tenant are in order of time and a decision that
//! is written twice is one row.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    error::StoreError,
    shelf::Shelf,
    tables::{Change, Keys, Span, Table, Tables},
    wire::{AsText, JsonText, as_text},
};
use crate::domain::{
    decision::{Decision, How, What},
    ids::{MailboxId, TenantId},
    policy::Registration,
    tenancy::SuspendedBecause,
};

/// The table `Register`.
#[derive(Debug, Clone)]
pub struct Register {
    shelf: Shelf,
}

impl Register {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Register) }
    }

    /// Adds a decision; one that is there already is as good.
    ///
    /// # Errors
    /// [`StoreError`] when it was not written, or may not have been.
    pub async fn add(&self, decision: &Decision) -> Result<(), StoreError> {
        let row = Shelf::row(keys(decision), &DecisionRow::from(decision.clone()))?;
        self.shelf.change(Change::Upsert(row)).await.map(drop)
    }

    /// All decisions of a tenant, in order of time.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn all(&self, tenant: TenantId) -> Result<Vec<Decision>, StoreError> {
        let rows = self.shelf.all::<DecisionRow>(&Span::partition(tenant.to_string())).await?;
        Ok(rows.into_iter().map(|(row, _, _)| row.into()).collect())
    }

    /// What was decided in a tenant at `from` or later, in order of time.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn since(
        &self,
        tenant: TenantId,
        from: Timestamp,
    ) -> Result<Vec<Decision>, StoreError> {
        let row_from = Some(instant(from));
        let span = Span { row_from, ..Span::partition(tenant.to_string()) };
        let rows = self.shelf.all::<DecisionRow>(&span).await?;
        Ok(rows.into_iter().map(|(row, _, _)| row.into()).collect())
    }

    /// The decisions about one person's calendar, in order of time.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn about(
        &self,
        tenant: TenantId,
        person: MailboxId,
    ) -> Result<Vec<Decision>, StoreError> {
        let all = self.all(tenant).await?;
        Ok(all.into_iter().filter(|decision| decision.about == Some(person)).collect())
    }

    /// Removes what a tenant decided up to `until` (that instant included), a hundred at once; for
    /// one that left, once its time is over. Answers how many.
    ///
    /// # Errors
    /// [`StoreError`] when some may still be there.
    pub async fn remove_until(
        &self,
        tenant: TenantId,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = self.shelf.all::<DecisionRow>(&Span::partition(tenant.to_string())).await?;
        let over = rows.into_iter().filter(|(row, _, _)| row.at <= until);
        self.shelf.remove_rows(over.map(|(_, keys, etag)| (keys, etag)).collect()).await
    }
}

/// So that rows sort by time.
fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn keys(decision: &Decision) -> Keys {
    let at = instant(decision.at);
    let about = decision.about.map_or_else(|| "-".to_owned(), |about| about.to_string());
    let kind = match &decision.what {
        What::Connected { .. } => "connected".to_owned(),
        What::Suspended(_) => "suspended".to_owned(),
        What::Disconnected => "disconnected".to_owned(),
        What::Deleted => "deleted".to_owned(),
        // Several may change at once.
        What::PolicyChanged { policy, .. } => {
            let plain = policy.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            format!("policy-{plain}")
        }
        What::Agreed { .. } => "agreed".to_owned(),
        What::Withdrew { .. } => "withdrew".to_owned(),
        What::Erased { .. } => "erased".to_owned(),
    };
    Keys::new(decision.tenant, format_args!("{at}_{kind}_{about}"))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DecisionRow {
    #[serde(with = "as_text")]
    tenant: TenantId,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<AsText<MailboxId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<AsText<MailboxId>>,
    what: JsonText<WhatText>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct WhatText(#[serde(with = "WhatWire")] What);

#[derive(Serialize, Deserialize)]
#[serde(remote = "What")]
enum WhatWire {
    Connected {
        #[serde(with = "RegistrationWire")]
        registration: Registration,
        text_version: String,
    },
    Suspended(#[serde(with = "ReasonWire")] SuspendedBecause),
    Disconnected,
    Deleted,
    PolicyChanged {
        policy: String,
        old: String,
        new: String,
    },
    Agreed {
        #[serde(with = "HowWire")]
        how: How,
        text_version: String,
    },
    Withdrew {
        released: bool,
    },
    Erased {
        released: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Registration")]
enum RegistrationWire {
    OrganisationWide,
    Scoped,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SuspendedBecause")]
enum ReasonWire {
    TokenRefused,
    CallRefused,
    CalendarsMissing,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "How")]
enum HowWire {
    Own,
    Delegate,
    Organisation,
}

impl From<Decision> for DecisionRow {
    fn from(decision: Decision) -> Self {
        let Decision { tenant, at, by, about, what } = decision;
        let (by, about) = (by.map(AsText), about.map(AsText));
        Self { tenant, at, by, about, what: JsonText(WhatText(what)) }
    }
}

impl From<DecisionRow> for Decision {
    fn from(row: DecisionRow) -> Self {
        let JsonText(WhatText(what)) = row.what;
        let (by, about) = (row.by.map(|AsText(id)| id), row.about.map(|AsText(id)| id));
        Self { tenant: row.tenant, at: row.at, by, about, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::counting::{CountingTables, at, mailbox, tenant};

    fn said(minute: &str, about: Option<u128>, what: What) -> Decision {
        let at = at(&format!("2026-11-24T09:{minute}:00Z"));
        let (by, about) = (Some(mailbox(1)), about.map(mailbox));
        Decision { tenant: tenant(9), at, by, about, what }
    }

    #[tokio::test]
    async fn decisions_come_back_in_order_of_time_and_a_repeat_is_one() {
        let register = Register::new(Arc::new(CountingTables::default()));
        let text_version = "2026-11".to_owned();
        let decisions = [
            said(
                "00",
                None,
                What::Connected {
                    registration: Registration::Scoped,
                    text_version: text_version.clone(),
                },
            ),
            said(
                "01",
                None,
                What::PolicyChanged { policy: "mail".into(), old: "off".into(), new: "on".into() },
            ),
            said("02", Some(2), What::Agreed { how: How::Delegate, text_version }),
            said("03", Some(2), What::Withdrew { released: true }),
            said("04", Some(3), What::Erased { released: false }),
            Decision {
                by: None,
                ..said("05", None, What::Suspended(SuspendedBecause::TokenRefused))
            },
            said("06", None, What::Disconnected),
            Decision { by: None, ..said("07", None, What::Deleted) },
        ];
        for decision in decisions.iter().rev().chain(&decisions) {
            register.add(decision).await.unwrap();
        }
        let elsewhere = Decision { tenant: tenant(8), ..decisions[0].clone() };
        register.add(&elsewhere).await.unwrap();
        assert_eq!(register.all(tenant(9)).await.unwrap(), decisions);
        assert_eq!(register.about(tenant(9), mailbox(2)).await.unwrap(), decisions[2..4]);
        assert_eq!(register.since(tenant(9), decisions[5].at).await.unwrap(), decisions[5..]);
        assert_eq!(register.remove_until(tenant(9), decisions[6].at).await.unwrap(), 7);
        assert_eq!(register.all(tenant(9)).await.unwrap(), decisions[7..]);
        assert_eq!(register.all(tenant(8)).await.unwrap(), [elsewhere]);
    }
}
