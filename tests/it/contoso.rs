//! Contoso, the small organisation that the stories play in, and what its people and operators see.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::http::Http;
use roombridge::domain::booking::Booking;
use roombridge::domain::ids::{MailboxId, RoomId, TenantId};
use roombridge::domain::keys::{BookingKey, Digest};
use roombridge::domain::ledger::Slot;
use roombridge::domain::policy::{Answering, ContentPolicy};
use roombridge::graph::PropertyId;
use roombridge::identity::client_state::{self, Key};
use roombridge::identity::key_ring::KeySource;
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::appointments::Appointments;
use roombridge::store::audit::{Audit, AuditedCall};
use roombridge::store::bookings::Bookings;
use roombridge::store::failures::{Failure as FailureRow, Failures};
use roombridge::store::ledger::Ledger;
use roombridge::store::mailboxes::{Mailbox as MailboxRow, Mailboxes};
use roombridge::store::tables::{Row, Table};
use serde_json::Value;
use world::azurite::Azurite;
use world::exchange::{Invitation, Mailbox, Meeting, Processing, Tenant};
use world::graph::Seen;
use world::office::{APP_HOST, Office, Storage};

use crate::{Failure, Outcome};

/// Tells each story in memory and on the storage emulator.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $story() -> crate::Outcome {
                super::$story(crate::contoso::Contoso::open().await?).await
            })+
        }
        mod on_azurite {
            $(#[tokio::test]
            async fn $story() -> crate::Outcome {
                super::$story(crate::contoso::Contoso::on_azurite().await?).await
            })+
        }
    };
}
pub(crate) use on_both;

/// Anna, Cleo and both rooms are followed; Ben has not agreed.
pub(crate) struct Contoso {
    pub(crate) office: Office,
    pub(crate) tenant: Tenant,
    pub(crate) anna: Mailbox,
    pub(crate) ben: Mailbox,
    pub(crate) cleo: Mailbox,
    /// Exchange only notes requests; Roombridge answers.
    pub(crate) aurora: Mailbox,
    /// Exchange answers by itself; Roombridge only declines what it must.
    pub(crate) borealis: Mailbox,
}

/// That time of Tuesday 24 November 2026, UTC: the day after the story begins.
#[expect(clippy::expect_used, reason = "a story with a wrong time in it cannot be told")]
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
    pub(crate) async fn open() -> Result<Self, Failure> {
        Self::with(ContentPolicy::default()).await
    }

    /// With what the tenant decided about its meetings' content.
    pub(crate) async fn with(content: ContentPolicy) -> Result<Self, Failure> {
        Self::settled(Office::new(1)?, content).await
    }

    pub(crate) async fn with_keys(keys: Arc<dyn KeySource>) -> Result<Self, Failure> {
        Self::settled(Office::on(1, None, keys)?, ContentPolicy::default()).await
    }

    pub(crate) async fn on_azurite() -> Result<Self, Failure> {
        let storage = Storage::azure(&Azurite::shared().await?.open()?).await?;
        Self::settled(Office::stored(1, storage)?, ContentPolicy::default()).await
    }

    async fn settled(office: Office, content: ContentPolicy) -> Result<Self, Failure> {
        let contoso = Self::furnished(office);
        let seeding = contoso.office.seeding();
        seeding.connect(&contoso.tenant, content).await?;
        for person in [&contoso.anna, &contoso.cleo] {
            seeding.agree(person).await?;
        }
        seeding.manage(&contoso.aurora, Answering::RoombridgeDecides).await?;
        seeding.manage(&contoso.borealis, Answering::ExchangeDecides).await?;
        contoso.office.settle().await;
        Ok(contoso)
    }

    /// The organisation as it is before anybody has heard of Roombridge.
    pub(crate) fn furnished(office: Office) -> Self {
        let tenant = office.microsoft.tenant("Contoso");
        let (anna, ben) = (tenant.person("Anna"), tenant.person("Ben"));
        let cleo = tenant.person("Cleo");
        let aurora = tenant.room("Aurora", Processing::AutoUpdate);
        let borealis = tenant.room("Borealis", Processing::AutoAccept);
        Self { office, tenant, anna, ben, cleo, aurora, borealis }
    }

    /// `organizer` invites a room on Tuesday, from `start` to `end`.
    pub(crate) fn meet(
        &self,
        organizer: &Mailbox,
        (start, end): (&str, &str),
        room: &Mailbox,
    ) -> Result<Meeting, Failure> {
        let invitation = Invitation::new("Quarterly numbers", at(start), at(end)).room(room);
        Ok(self.tenant.meet(organizer, invitation)?)
    }

    pub(crate) async fn pass(&self, duration: SignedDuration) {
        self.office.pass(duration).await;
    }

    pub(crate) async fn rows(&self, table: Table) -> Result<Vec<Row>, Failure> {
        Ok(self.office.rows(table).await?)
    }

    pub(crate) async fn count(&self, table: Table) -> Result<usize, Failure> {
        Ok(self.rows(table).await?.len())
    }

    pub(crate) fn tenant_id(&self) -> Result<TenantId, Failure> {
        Ok(self.tenant.id().parse()?)
    }

    pub(crate) fn key(&self, meeting: &Meeting, room: &Mailbox) -> Result<BookingKey, Failure> {
        Ok(BookingKey {
            tenant: self.tenant_id()?,
            appointment: Digest::of_ical_uid(meeting.ical()),
            original_start: None,
            room: room_id(room)?,
        })
    }

    pub(crate) async fn booking(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<Option<Booking>, Failure> {
        let found =
            Bookings::new(Arc::clone(&self.office.store)).get(&self.key(meeting, room)?).await?;
        Ok(found.map(|(booking, _)| booking))
    }

    /// The booking that there must be.
    pub(crate) async fn booked(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<Booking, Failure> {
        let booking = self.booking(meeting, room).await?;
        booking.ok_or_else(|| "there is no such booking".into())
    }

    /// What is taken of a room on that day.
    pub(crate) async fn taken(&self, room: &Mailbox, day: &str) -> Result<Vec<Slot>, Failure> {
        let ledger = Ledger::new(Arc::clone(&self.office.store));
        let days = ledger.read(self.tenant_id()?, room_id(room)?, &[day.parse()?]).await?;
        Ok(days.into_iter().flat_map(|day| day.day.slots().to_vec()).collect())
    }

    /// Our word on the organizer's copy about `room`.
    pub(crate) fn word(
        &self,
        meeting: &Meeting,
        organizer: &Mailbox,
        room: &Mailbox,
    ) -> Result<Option<Value>, Failure> {
        let property = PropertyId::outcome(room_id(room)?).to_string();
        let value = meeting.property_in(organizer, &property);
        Ok(value.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// The outcome within that word.
    pub(crate) fn outcome(
        &self,
        meeting: &Meeting,
        organizer: &Mailbox,
        room: &Mailbox,
    ) -> Result<Option<String>, Failure> {
        let word = self.word(meeting, organizer, room)?;
        Ok(word.and_then(|word| word["outcome"].as_str().map(str::to_owned)))
    }

    pub(crate) async fn mailbox(&self, mailbox: &Mailbox) -> Result<MailboxRow, Failure> {
        let mailboxes = Mailboxes::new(Arc::clone(&self.office.store));
        let found = mailboxes.get(self.tenant_id()?, mailbox.id().parse()?).await?;
        found.map(|(row, _)| row).ok_or_else(|| "there is no such mailbox".into())
    }

    /// How many subscriptions of this mailbox there are at Graph.
    pub(crate) fn subscriptions(&self, mailbox: &Mailbox) -> usize {
        let all = self.office.microsoft.graph.subscriptions();
        all.iter().filter(|subscription| subscription.mailbox == mailbox.id()).count()
    }

    pub(crate) async fn pointers(&self, mailbox: &Mailbox) -> Result<usize, Failure> {
        let appointments = Appointments::new(Arc::clone(&self.office.store));
        Ok(appointments.all(self.tenant_id()?, mailbox.id().parse()?).await?.len())
    }

    /// Failures of Contoso and of nobody known.
    pub(crate) async fn failures(&self) -> Result<Vec<FailureRow>, Failure> {
        let failures = Failures::new(Arc::clone(&self.office.store));
        let mut all = failures.all(Some(self.tenant_id()?)).await?;
        all.extend(failures.all(None).await?);
        Ok(all)
    }

    /// Everything in the audit of the week of the story.
    pub(crate) async fn audit(&self) -> Result<Vec<AuditedCall>, Failure> {
        let audit = Audit::new(Arc::clone(&self.office.store));
        let mut all = Vec::new();
        for day in 22..=30 {
            all.extend(audit.all(self.tenant_id()?, jiff::civil::date(2026, 11, day)).await?);
        }
        Ok(all)
    }

    /// What was asked of Graph by this method and path.
    pub(crate) fn asked(&self, method: &str, template: &str) -> Vec<Seen> {
        let mut seen = self.office.microsoft.graph.requests();
        seen.retain(|seen| seen.method == method && seen.template == template);
        seen
    }

    /// The client state that this mailbox's subscription carries.
    pub(crate) async fn client_state(&self, mailbox: &Mailbox) -> Result<String, Failure> {
        let row = self.mailbox(mailbox).await?;
        let nonce = row.nonce.ok_or("never subscribed")?;
        Ok(client_state::issue(&Key::new("k1".parse()?, &[7; 32]), row.tenant, row.id, nonce))
    }

    /// Posts to the app from outside; answers the status and the text.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<(u16, String), Failure> {
        let answer = self.office.microsoft.network.send(request.body(body.into())?).await?;
        let text = String::from_utf8(answer.body().to_vec())?;
        Ok((answer.status().as_u16(), text))
    }

    /// Posts `body` to the webhook.
    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Result<u16, Failure> {
        let request = http::Request::post(format!("https://{APP_HOST}/api/notifications"));
        Ok(self.send(request.header("content-type", "application/json"), body).await?.0)
    }

    /// How many messages wait in a queue, in memory.
    pub(crate) fn waiting(&self, queue: Queue) -> usize {
        self.office.outbox.messages(Shelf::Main(queue)).len()
    }

    /// Nothing failed, nothing is poisoned, no rule was broken towards Graph.
    pub(crate) async fn is_well(&self) -> Outcome {
        assert_eq!(self.office.microsoft.graph.violations(), []);
        assert_eq!(self.failures().await?, []);
        for queue in Queue::ALL {
            assert_eq!(self.office.outbox.messages(Shelf::Poison(queue)), []);
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.office.clock.now()
    }
}

pub(crate) fn room_id(room: &Mailbox) -> Result<RoomId, Failure> {
    Ok(RoomId(room.id().parse::<MailboxId>()?.0))
}
