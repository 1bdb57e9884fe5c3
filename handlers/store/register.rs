//! `Register`: what people decided, as evidence. A partition is a person, or the tenant as a whole:
//! all that a person is shown is one partition, and a tenant's register is one range of them.
//!
//! A row is the instant, the kind, a digest of everything that was decided, and whom it is about: a
//! decision that is written twice is one row, and two that differ in anything are two. What a person
//! may send twice has the instant of the decision before it in its key instead ([`Register::add_once`]).
//! A person who decides about somebody else, or about the tenant, has a copy in their own partition.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Map, Value};

use super::tables::{KeyRange, RowChange, RowKey, StoreError, Table, Tables, TypedTable};
use crate::domain::{
    ids::{MailboxId, TenantId},
    keys::Digest,
    tenant::decision::{Decision, DecisionKind},
};

/// How long a decision may have been written without the row that it explains and still be the one
/// that is being carried out: a request that is repeated, or two at once, take seconds.
const UNFINISHED: SignedDuration = SignedDuration::from_mins(15);

/// The table `Register`.
#[derive(Debug, Clone)]
pub struct Register {
    table: TypedTable<Decision>,
}

impl Register {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { table: TypedTable::open(tables, Table::Register) }
    }

    /// Adds a decision; one that is there already is as good.
    pub async fn add(&self, decision: &Decision) -> Result<(), StoreError> {
        let Decision { tenant, by, about, .. } = *decision;
        // The copy first: after a crash in between, the repeat writes what everybody is shown.
        if by.is_some() && by != about {
            self.write(partition(tenant, by), decision).await?;
        }
        self.write(partition(tenant, about), decision).await
    }

    /// Adds what a person decides about a mailbox now, and returns it as the register has it: where the
    /// same was decided moments ago by a request that was cut off, or that runs at the same time, that
    /// one. So what is sent twice is one entry. `carried_out` is the instant of the decision that the
    /// mailbox's row is the result of, where the row says so.
    ///
    /// The key names the decision before this one, so of two that follow the same one the first is
    /// kept, and the other reads it.
    pub async fn add_once(
        &self,
        decision: &Decision,
        carried_out: Option<Timestamp>,
    ) -> Result<Decision, StoreError> {
        let Decision { tenant, by, about, .. } = *decision;
        let home = partition(tenant, about);
        let mut before = self.query(&KeyRange::single_partition(home.clone())).await?;
        before.retain(|(before, _)| before.about == about);
        let last = before.pop().map(|(last, _)| last);
        let is_same = |last: &Decision| {
            (last.by, &last.kind) == (by, &decision.kind)
                && Some(last.at) != carried_out
                && decision.at.duration_since(last.at).abs() < UNFINISHED
        };
        let kept = match last {
            Some(last) if is_same(&last) => last,
            last => self.insert_after(last.as_ref(), decision, home).await?,
        };
        if by.is_some() && by != about {
            self.write(partition(tenant, by), &kept).await?;
        }
        Ok(kept)
    }

    async fn insert_after(
        &self,
        last: Option<&Decision>,
        decision: &Decision,
        home: String,
    ) -> Result<Decision, StoreError> {
        let at = last.map_or(Timestamp::UNIX_EPOCH, |last| last.at);
        let following = Decision { at, ..decision.clone() };
        let named = TypedTable::encode(RowKey::new("", ""), &following)?.properties;
        let key = RowKey::new(home, row_key(&following, b"following decision", &named));
        let row = TypedTable::encode(key.clone(), decision)?;
        match self.table.write(RowChange::Insert(row)).await {
            Ok(_) => Ok(decision.clone()),
            Err(error) if error.is_conflict() => {
                let found = self.table.read(&key).await?;
                Ok(found.map_or_else(|| decision.clone(), |(kept, _)| kept))
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&self, partition: String, decision: &Decision) -> Result<(), StoreError> {
        let mut row = TypedTable::encode(RowKey::new(partition, ""), decision)?;
        row.key.row = row_key(decision, b"decision", &row.properties);
        self.table.write(RowChange::Upsert(row)).await.map(drop)
    }

    /// All decisions of a tenant, page by page: person by person, those of each in order of time.
    pub fn pages(&self, tenant: TenantId) -> BoxStream<'static, Result<Vec<Decision>, StoreError>> {
        let pages = self.table.pages(tenant_range(tenant)).map_ok(move |rows| {
            let mut page: Vec<Decision> = rows
                .into_iter()
                // Without the copies for those who decided about somebody else.
                .filter(|(decision, keys, _)| partition(tenant, decision.about) == keys.partition)
                .map(|(decision, ..)| decision)
                .collect();
            // A row's key names no more than the millisecond.
            page.sort_by_key(|decision| (decision.about, decision.at));
            page
        });
        pages.boxed()
    }

    /// The decisions about the tenant as a whole, in order of time.
    pub async fn list_about_tenant(&self, tenant: TenantId) -> Result<Vec<Decision>, StoreError> {
        let all = self.query(&KeyRange::single_partition(partition(tenant, None))).await?;
        Ok(all.into_iter().map(|(decision, _)| decision).collect())
    }

    /// The decisions about one person's calendar, in order of time.
    pub async fn list_about(
        &self,
        tenant: TenantId,
        person: MailboxId,
    ) -> Result<Vec<Decision>, StoreError> {
        let mut all = self.list_involving(tenant, person).await?;
        all.retain(|decision| decision.about == Some(person));
        Ok(all)
    }

    /// The decisions about one person's calendar and those that this person made, in order of time.
    pub async fn list_involving(
        &self,
        tenant: TenantId,
        person: MailboxId,
    ) -> Result<Vec<Decision>, StoreError> {
        let all = self.query(&KeyRange::single_partition(partition(tenant, Some(person)))).await?;
        Ok(all.into_iter().map(|(decision, _)| decision).collect())
    }

    /// Removes what a tenant decided up to `until` (that instant included), a hundred at once; for
    /// one that left, once its time is over. Answers how many rows, copies included.
    pub async fn remove_until(
        &self,
        tenant: TenantId,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = self.table.read_all(&tenant_range(tenant)).await?;
        let over = rows.into_iter().filter(|(row, _, _)| row.at <= until);
        self.table.delete_rows(over.map(|(_, keys, etag)| (keys, etag)).collect()).await
    }

    /// In order of time. A row's key names no more than the millisecond.
    async fn query(&self, span: &KeyRange) -> Result<Vec<(Decision, RowKey)>, StoreError> {
        let rows = self.table.read_all(span).await?;
        let mut all: Vec<(Decision, RowKey)> =
            rows.into_iter().map(|(decision, keys, _)| (decision, keys)).collect();
        all.sort_by(|(one, keys), (other, others)| {
            (one.at, &keys.row).cmp(&(other.at, &others.row))
        });
        Ok(all)
    }
}

/// All partitions of a tenant: `~` sorts after every character of our keys.
fn tenant_range(tenant: TenantId) -> KeyRange {
    KeyRange::partition_range(format!("{tenant}_"), format!("{tenant}_~"))
}

/// A person's, or that of the tenant as a whole.
fn partition(tenant: TenantId, person: Option<MailboxId>) -> String {
    person.map_or_else(|| format!("{tenant}_tenant"), |person| format!("{tenant}_{person}"))
}

/// Begins with the time, so that a register is read in order. The digest of `properties`, made under the
/// name `what`, makes a decision that is recorded twice one row.
fn row_key(decision: &Decision, what: &[u8], properties: &Map<String, Value>) -> String {
    let all = Value::Object(properties.clone()).to_string();
    let digest = Digest::of(&[what, all.as_bytes()]);
    let at = decision.at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    let about = decision.about.map_or_else(|| "-".to_owned(), |about| about.to_string());
    let kind = match &decision.kind {
        DecisionKind::Connected { .. } => "connected".to_owned(),
        DecisionKind::Suspended(_) => "suspended".to_owned(),
        DecisionKind::Resumed => "resumed".to_owned(),
        DecisionKind::Disconnected => "disconnected".to_owned(),
        DecisionKind::Deleted => "deleted".to_owned(),
        // Several may change at once; they are read in the order of their names.
        DecisionKind::PolicyChanged { policy, .. } => {
            let plain = policy.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            format!("policy-{plain}")
        }
        DecisionKind::BookingSystem { .. } => "booking-system".to_owned(),
        DecisionKind::ConsentGranted { .. } => "consent-granted".to_owned(),
        DecisionKind::ConsentWithdrawn { .. } => "consent-withdrawn".to_owned(),
        DecisionKind::Erased { .. } => "erased".to_owned(),
    };
    format!("{at}_{kind}_{digest}_{about}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::domain::tenant::{
        SuspensionReason, decision::ConsentCapacity, policy::Registration,
    };
    use crate::store::test_support::{CountingTables, at, mailbox, tenant};

    fn said(minute: &str, about: Option<u128>, what: DecisionKind) -> Decision {
        let at = at(&format!("2026-11-24T09:{minute}:00Z"));
        let (by, about) = (Some(mailbox(1)), about.map(mailbox));
        Decision { tenant: tenant(9), at, by, about, kind: what }
    }

    /// In order of time.
    async fn list(register: &Register, of: TenantId) -> Vec<Decision> {
        let mut all: Vec<Decision> = register.pages(of).try_concat().await.unwrap();
        all.sort_by_key(|decision| decision.at);
        all
    }

    #[tokio::test]
    async fn decisions_come_back_in_order_of_time_and_a_repeat_is_one() {
        let register = Register::new(Arc::new(CountingTables::default()));
        let text_version = "2026-11".to_owned();
        let decisions = [
            said(
                "00",
                None,
                DecisionKind::Connected {
                    registration: Registration::Scoped,
                    text_version: text_version.clone(),
                },
            ),
            said(
                "01",
                None,
                DecisionKind::PolicyChanged {
                    policy: "mail".into(),
                    old: "off".into(),
                    new: "on".into(),
                },
            ),
            said(
                "02",
                Some(2),
                DecisionKind::ConsentGranted { capacity: ConsentCapacity::Delegate, text_version },
            ),
            said("03", Some(2), DecisionKind::ConsentWithdrawn { released: true }),
            said("04", Some(3), DecisionKind::Erased { released: false }),
            Decision {
                by: None,
                ..said("05", None, DecisionKind::Suspended(SuspensionReason::TokenRefused))
            },
            said("06", None, DecisionKind::Disconnected),
            Decision { by: None, ..said("07", None, DecisionKind::Deleted) },
        ];
        for decision in decisions.iter().rev().chain(&decisions) {
            register.add(decision).await.unwrap();
        }
        let elsewhere = Decision { tenant: tenant(8), ..decisions[0].clone() };
        register.add(&elsewhere).await.unwrap();
        assert_eq!(list(&register, tenant(9)).await, decisions);
        assert_eq!(register.list_about(tenant(9), mailbox(2)).await.unwrap(), decisions[2..4]);
        assert_eq!(register.list_about(tenant(9), mailbox(1)).await.unwrap(), []);
        let by_one = [&decisions[..5], &decisions[6..7]].concat();
        assert_eq!(register.list_involving(tenant(9), mailbox(1)).await.unwrap(), by_one);
        let removed = register.remove_until(tenant(9), decisions[6].at).await.unwrap();
        assert_eq!(removed, 7 + by_one.len() as u64, "with the copies of who decided");
        assert_eq!(list(&register, tenant(9)).await, decisions[7..]);
        assert_eq!(list(&register, tenant(8)).await, [elsewhere]);
    }

    #[tokio::test]
    async fn what_differs_in_anything_is_another_decision_also_within_a_millisecond() {
        let fake = Arc::new(CountingTables::default());
        let register = Register::new(fake.clone());
        let own = Decision {
            by: Some(mailbox(2)),
            ..said("00", Some(2), DecisionKind::ConsentWithdrawn { released: false })
        };
        let others = [
            Decision { by: Some(mailbox(1)), ..own.clone() },
            Decision { by: None, ..own.clone() },
            Decision { kind: DecisionKind::ConsentWithdrawn { released: true }, ..own.clone() },
            Decision { at: own.at + jiff::SignedDuration::from_nanos(1), ..own.clone() },
        ];
        for decision in others.iter().chain([&own, &own]) {
            register.add(decision).await.unwrap();
        }
        let about = register.list_about(tenant(9), mailbox(2)).await.unwrap();
        assert_eq!(about.len(), 5);
        assert_eq!(about.last(), Some(&others[3]));
        assert_eq!(list(&register, tenant(9)).await.len(), 5);
        let rows = fake.rows(Table::Register);
        assert!(rows.iter().all(|row| row.key.row.ends_with(&mailbox(2).to_string())));
    }

    #[tokio::test]
    async fn of_two_requests_that_decide_the_same_the_first_is_kept() {
        let register = Register::new(Arc::new(CountingTables::default()));
        let agreed = DecisionKind::ConsentGranted {
            capacity: ConsentCapacity::Delegate,
            text_version: "2026-11".into(),
        };
        let first = said("00", Some(2), agreed.clone());
        let second = said("01", Some(2), agreed.clone());
        // The other one reads what was there before either of them was written.
        let home = || partition(tenant(9), Some(mailbox(2)));
        assert_eq!(register.insert_after(None, &first, home()).await.unwrap(), first);
        assert_eq!(register.insert_after(None, &second, home()).await.unwrap(), first);
        assert_eq!(register.add_once(&second, None).await.unwrap(), first, "it is unfinished");
        let involving = register.list_involving(tenant(9), mailbox(1)).await.unwrap();
        assert_eq!(involving, std::slice::from_ref(&first), "with the copy of who decided");
        let again = register.add_once(&second, Some(first.at)).await.unwrap();
        assert_eq!(again, second, "the first one was carried out");
        let left = said("02", Some(2), DecisionKind::ConsentWithdrawn { released: true });
        let back = said("03", Some(2), agreed.clone());
        let later = said("30", Some(2), agreed);
        for decision in [&left, &back, &later] {
            assert_eq!(&register.add_once(decision, None).await.unwrap(), decision);
        }
        let about = register.list_about(tenant(9), mailbox(2)).await.unwrap();
        assert_eq!(about, [first, second, left, back, later]);
    }

    #[tokio::test]
    async fn what_a_person_is_shown_does_not_cost_what_others_decided() {
        let fake = Arc::new(CountingTables::default());
        let register = Register::new(fake.clone());
        for person in 2..50 {
            let by = Some(mailbox(person));
            let what = DecisionKind::Erased { released: false };
            let erased = Decision { by, ..said("00", Some(person), what) };
            register.add(&erased).await.unwrap();
        }
        fake.page_limit.store(1, Ordering::Relaxed);
        let before = fake.scans.load(Ordering::Relaxed);
        assert_eq!(register.list_involving(tenant(9), mailbox(7)).await.unwrap().len(), 1);
        let scans = fake.scans.load(Ordering::Relaxed) - before;
        assert!(scans <= 2, "{scans}: one partition, a row a page");
    }
}
