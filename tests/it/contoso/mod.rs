//! Contoso, the small organisation that the stories play in, and what its people and operators see.

mod builder;

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::http::Http;
use roombridge::domain::booking::Booking;
use roombridge::domain::ids::{MailboxId, RoomId, TenantId};
use roombridge::domain::keys::BookingKey;
use roombridge::domain::ledger::LedgerSlot;
use roombridge::domain::tenant::decision::Decision;
use roombridge::graph::PropertyId;
use roombridge::identity::keys::client_state::{self, SecretKey};
use roombridge::queue::Queue;
use roombridge::store::appointments::{AppointmentCopy, Appointments};
use roombridge::store::bookings::Bookings;
use roombridge::store::failures::{Failure as FailureRow, Failures};
use roombridge::store::ledger::Ledger;
use roombridge::store::mailboxes::{Mailbox as MailboxRow, Mailboxes};
use roombridge::store::register::Register;
use roombridge::store::tables::{Table, TableRow, Tables};
use roombridge::{domain::api_call::ApiCall, store::audit::Audit};
use serde_json::Value;
use world::exchange::{Invitation, Mailbox, Meeting, Tenant};
use world::graph::RecordedRequest;
use world::memory::QueueKind;
use world::test_world::{APP_HOST, TestWorld, digest_key};

use crate::{TestError, TestResult};

pub(crate) use builder::{ContosoBuilder, Who};

/// Plays each story in memory and on the storage emulator.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $story() -> crate::TestResult {
                super::$story(crate::contoso::Contoso::open().await?).await
            })+
        }
        mod on_azurite {
            $(#[tokio::test]
            async fn $story() -> crate::TestResult {
                needs_azurite!();
                super::$story(crate::contoso::Contoso::builder().on_azurite().open().await?).await
            })+
        }
    };
}
pub(crate) use on_both;

/// All that was decided about a tenant and its people, in order of time.
pub(crate) async fn decisions(
    tables: &Arc<dyn Tables>,
    tenant: TenantId,
) -> Result<Vec<Decision>, TestError> {
    let register = Register::new(Arc::clone(tables));
    let mut all: Vec<Decision> = register.pages(tenant).try_concat().await?;
    all.sort_by_key(|decision| decision.at);
    Ok(all)
}

/// The organisation, in the world `W` that it is in.
pub(crate) struct Contoso<W = TestWorld> {
    pub(crate) world: W,
    pub(crate) tenant: Tenant,
    /// Object id of Ada, a Global Administrator without a mailbox. A connected organisation has no need of
    /// her: then it is empty.
    pub(crate) ada: String,
    pub(crate) anna: Mailbox,
    pub(crate) ben: Mailbox,
    pub(crate) cleo: Mailbox,
    /// Whom the story invited as well.
    pub(crate) guests: Vec<Mailbox>,
    /// Usually Exchange only notes requests, and Roombridge answers.
    pub(crate) aurora: Mailbox,
    /// Usually Exchange answers by itself, and Roombridge only declines what it must.
    pub(crate) borealis: Mailbox,
}

/// That time of Tuesday 24 November 2026, UTC: the day after the story begins.
#[expect(clippy::expect_used, reason = "a story with an invalid time cannot be played")]
pub(crate) fn at(time: &str) -> Timestamp {
    let text =
        if time.len() > 5 { format!("{time}:00Z") } else { format!("2026-11-24T{time}:00Z") };
    text.parse().expect("a time like 09:00 or 2026-11-25T09:00")
}

pub(crate) fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

pub(crate) fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

pub(crate) fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

impl Contoso {
    /// A story says what it needs; without that it gets Anna, Cleo and both rooms followed.
    pub(crate) fn builder() -> ContosoBuilder {
        ContosoBuilder::default()
    }

    /// The usual Contoso.
    pub(crate) async fn open() -> Result<Self, TestError> {
        Self::builder().open().await
    }

    /// Only the calendars of people who agreed are followed, and no room's.
    pub(crate) async fn open_without_rooms() -> Result<Self, TestError> {
        let contoso = Self::open().await?;
        contoso.change_policy(|policy| policy.rooms_subscribed = false).await?;
        contoso.run_for(minutes(5)).await;
        Ok(contoso)
    }

    /// `organizer` invites a room on Tuesday, from `start` to `end`.
    pub(crate) fn meet(
        &self,
        organizer: &Mailbox,
        (start, end): (&str, &str),
        room: &Mailbox,
    ) -> Result<Meeting, TestError> {
        let invitation = Invitation::new("Quarterly numbers", at(start), at(end)).room(room);
        Ok(self.tenant.meet(organizer, invitation)?)
    }

    pub(crate) async fn run_for(&self, duration: SignedDuration) {
        self.world.run_for(duration).await;
    }

    pub(crate) async fn rows(&self, table: Table) -> Result<Vec<TableRow>, TestError> {
        Ok(self.world.rows(table).await?)
    }

    pub(crate) async fn count(&self, table: Table) -> Result<usize, TestError> {
        Ok(self.rows(table).await?.len())
    }

    pub(crate) fn tenant_id(&self) -> Result<TenantId, TestError> {
        Ok(self.tenant.id().parse()?)
    }

    pub(crate) fn booking_key(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<BookingKey, TestError> {
        Ok(BookingKey {
            tenant: self.tenant_id()?,
            appointment: digest_key().appointment(meeting.ical()),
            original_start: None,
            room: room_id(room)?,
        })
    }

    pub(crate) async fn booking(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<Option<Booking>, TestError> {
        let found = Bookings::new(Arc::clone(&self.world.raw_tables))
            .get(&self.booking_key(meeting, room)?)
            .await?;
        Ok(found.map(|(booking, _)| booking))
    }

    /// The booking that there must be.
    pub(crate) async fn expect_booking(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<Booking, TestError> {
        let booking = self.booking(meeting, room).await?;
        booking.ok_or_else(|| "there is no such booking".into())
    }

    /// What is taken of a room on that day.
    pub(crate) async fn ledger_slots(
        &self,
        room: &Mailbox,
        day: &str,
    ) -> Result<Vec<LedgerSlot>, TestError> {
        let ledger = Ledger::new(Arc::clone(&self.world.raw_tables));
        let days = ledger.read(self.tenant_id()?, room_id(room)?, &[day.parse()?]).await?;
        Ok(days.into_iter().flat_map(|day| day.day.slots().to_vec()).collect())
    }

    /// Our property on the organizer's copy about `room`.
    pub(crate) fn outcome_property(
        &self,
        meeting: &Meeting,
        organizer: &Mailbox,
        room: &Mailbox,
    ) -> Result<Option<Value>, TestError> {
        let property = PropertyId::outcome(room_id(room)?).to_string();
        let value = meeting.property_in(organizer, &property);
        Ok(value.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// The outcome in that property.
    pub(crate) fn outcome_on_copy(
        &self,
        meeting: &Meeting,
        organizer: &Mailbox,
        room: &Mailbox,
    ) -> Result<Option<String>, TestError> {
        let property = self.outcome_property(meeting, organizer, room)?;
        Ok(property.and_then(|value| value["outcome"].as_str().map(str::to_owned)))
    }

    pub(crate) async fn mailbox(&self, mailbox: &Mailbox) -> Result<MailboxRow, TestError> {
        let mailboxes = Mailboxes::new(Arc::clone(&self.world.raw_tables));
        let found = mailboxes.get(self.tenant_id()?, mailbox.id().parse()?).await?;
        found.map(|(row, _)| row).ok_or_else(|| "there is no such mailbox".into())
    }

    /// How many subscriptions of this mailbox there are at Graph.
    pub(crate) fn subscriptions(&self, mailbox: &Mailbox) -> usize {
        let all = self.world.microsoft.graph.subscriptions();
        all.iter().filter(|subscription| subscription.mailbox == mailbox.id()).count()
    }

    /// The copies in a calendar that are known.
    pub(crate) async fn appointments(
        &self,
        mailbox: &Mailbox,
    ) -> Result<Vec<AppointmentCopy>, TestError> {
        let appointments = Appointments::new(Arc::clone(&self.world.raw_tables));
        Ok(appointments.list(self.tenant_id()?, mailbox.id().parse()?).await?)
    }

    pub(crate) async fn appointment_count(&self, mailbox: &Mailbox) -> Result<usize, TestError> {
        Ok(self.appointments(mailbox).await?.len())
    }

    /// Failures of Contoso and of nobody known.
    pub(crate) async fn failures(&self) -> Result<Vec<FailureRow>, TestError> {
        let failures = Failures::new(Arc::clone(&self.world.raw_tables));
        let mut all = failures.list(Some(self.tenant_id()?)).await?;
        all.extend(failures.list(None).await?);
        Ok(all)
    }

    /// Everything in the audit of the week of the story.
    pub(crate) async fn audit(&self) -> Result<Vec<ApiCall>, TestError> {
        let audit = Audit::new(Arc::clone(&self.world.raw_tables));
        let mut all = Vec::new();
        for day in 22..=30 {
            all.extend(audit.list(self.tenant_id()?, jiff::civil::date(2026, 11, day)).await?);
        }
        Ok(all)
    }

    /// What was asked of Graph by this method and path.
    pub(crate) fn graph_requests(&self, method: &str, template: &str) -> Vec<RecordedRequest> {
        let mut requests = self.world.microsoft.graph.requests();
        requests.retain(|request| request.method == method && request.template == template);
        requests
    }

    /// The client state that this mailbox's subscription carries.
    pub(crate) async fn client_state(&self, mailbox: &Mailbox) -> Result<String, TestError> {
        let row = self.mailbox(mailbox).await?;
        let nonce = row.nonce.ok_or("never subscribed")?;
        Ok(client_state::issue(&SecretKey::new("k1".parse()?, &[7; 32]), row.tenant, row.id, nonce))
    }

    /// Posts to the app from outside; returns the status and the text.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<(u16, String), TestError> {
        let answer = self.world.microsoft.network.send(request.body(body.into())?).await?;
        let text = String::from_utf8(answer.body().to_vec())?;
        Ok((answer.status().as_u16(), text))
    }

    /// Posts `body` to the webhook.
    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Result<u16, TestError> {
        let request = http::Request::post(format!("https://{APP_HOST}/api/notifications"));
        Ok(self.send(request.header("content-type", "application/json"), body).await?.0)
    }

    /// How many messages wait in a queue, in memory.
    pub(crate) fn queue_len(&self, queue: Queue) -> usize {
        self.world.memory_outbox.messages(QueueKind::Main(queue)).len()
    }

    /// Nothing failed, nothing is poisoned, no rule was broken towards Graph.
    pub(crate) async fn assert_healthy(&self) -> TestResult {
        assert_eq!(self.world.microsoft.graph.violations(), []);
        assert_eq!(self.failures().await?, []);
        for queue in Queue::ALL {
            assert_eq!(self.world.memory_outbox.messages(QueueKind::Poison(queue)), []);
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }
}

pub(crate) fn room_id(room: &Mailbox) -> Result<RoomId, TestError> {
    Ok(RoomId(room.id().parse::<MailboxId>()?.0))
}
