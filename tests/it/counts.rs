//! What things cost: storage transactions and Graph requests, counted and not estimated. The same
//! table stands in the README.
//!
//! Timers are not run, but for the purge that is counted: an idle one costs its own scans and no more.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock as _;
use roombridge::base::http::Http as _;
use roombridge::domain::policy::{ContentPolicy, ResponseMode};
use roombridge::messages::MailboxTaskKind;
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::json;
use world::exchange::{Invitation, Mailbox, Meeting, Processing, Tenant};
use world::fault_injection::Call;
use world::memory::QueueKind;
use world::test_world::TestWorld;

use crate::rich_subscriptions::enable_rich_notifications;
use crate::{TestError, TestResult};

struct CostFixture {
    world: TestWorld,
    tenant: Tenant,
    anna: Mailbox,
    aurora: Mailbox,
}

/// What was called.
#[derive(Default)]
struct Cost {
    tables: BTreeMap<(&'static str, &'static str), usize>,
    sends: BTreeMap<&'static str, usize>,
    graph: BTreeMap<String, usize>,
}

impl CostFixture {
    async fn new() -> Result<Self, TestError> {
        let office = TestWorld::new(3)?;
        let tenant = office.microsoft.tenant("Contoso");
        let anna = tenant.person("Anna");
        let aurora = tenant.room("Aurora", Processing::AutoUpdate);
        let seeding = office.fixtures();
        seeding.connect(&tenant, ContentPolicy::default()).await?;
        seeding.agree(&anna).await?;
        seeding.manage_room(&aurora, ResponseMode::RoombridgeDecides).await?;
        let house = Self { world: office, tenant, anna, aurora };
        house.drain().await;
        house.expire_caches();
        Ok(house)
    }

    /// The same, with content in its notifications.
    async fn with_rich_notifications() -> Result<Self, TestError> {
        let house = Self::new().await?;
        enable_rich_notifications(&house.world, &house.tenant, &[&house.anna, &house.aurora])
            .await?;
        house.drain().await;
        house.expire_caches();
        Ok(house)
    }

    /// Each case begins on its own, when what was cached for a minute is read anew.
    fn expire_caches(&self) {
        self.world.clock.advance(SignedDuration::from_mins(2));
    }

    /// One booking, settled and quiet.
    async fn with_booking() -> Result<(Self, Meeting), TestError> {
        let house = Self::new().await?;
        let meeting = house.meet(true, SignedDuration::ZERO)?;
        house.drain().await;
        house.expire_caches();
        Ok((house, meeting))
    }

    fn meet(&self, room: bool, shift: SignedDuration) -> Result<Meeting, TestError> {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse()?;
        let end = start + SignedDuration::from_hours(1);
        let invitation = Invitation::new("Quarterly numbers", start + shift, end + shift);
        let invitation = if room { invitation.room(&self.aurora) } else { invitation };
        Ok(self.tenant.meet(&self.anna, invitation)?)
    }

    /// Until no notification and no message is left, delayed ones included.
    async fn drain(&self) {
        loop {
            self.world.run_until_idle().await;
            let shelves = Queue::ALL.map(QueueKind::Main);
            let next =
                shelves.iter().filter_map(|s| self.world.memory_outbox.next_visible_at(*s)).min();
            let Some(next) = next else { break };
            self.world.clock.set(next.max(self.world.clock.now()));
        }
    }

    fn reset_counters(&self) {
        self.world.table_faults.reset();
        self.world.queue_faults.reset();
        self.world.microsoft.graph.clear_requests();
    }

    fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for Call { method: verb, target } in self.world.table_faults.calls() {
            *cost.tables.entry((verb, target)).or_default() += 1;
        }
        for Call { target, .. } in self.world.queue_faults.calls() {
            *cost.sends.entry(target).or_default() += 1;
        }
        for seen in self.world.microsoft.graph.requests() {
            let within = if seen.in_batch { " (within)" } else { "" };
            let name = format!("{} {}{within}", seen.method, seen.template);
            *cost.graph.entry(name).or_default() += 1;
        }
        assert!(self.world.memory_tables.rows(Table::Failures).is_empty());
        cost
    }

    /// A POST with `count` notifications, each of another event, as Graph would send it for Anna.
    async fn post(&self, count: usize) -> Result<u16, TestError> {
        use roombridge::identity::keys::client_state::{SecretKey, issue};
        use roombridge::store::mailboxes::Mailboxes;
        let mailboxes = Mailboxes::new(self.world.memory_tables.clone());
        let (tenant, id) = (self.tenant.id().parse()?, self.anna.id().parse()?);
        let nonce = mailboxes.get(tenant, id).await?.and_then(|(row, _)| row.nonce);
        let state = issue(&SecretKey::new("k1".parse()?, &[7; 32]), tenant, id, nonce.unwrap_or(0));
        let item = |number: usize| {
            let event = format!("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AAAAAAAAAAAAAAAA{number:03}");
            let resource = format!("Users/{}/Events/{event}", self.anna.id());
            json!({
                "subscriptionId": "b0000000-0000-4000-8000-000000000001",
                "subscriptionExpirationDateTime": "2026-11-29T08:00:00Z",
                "clientState": state, "tenantId": self.tenant.id(), "changeType": "updated",
                "resource": resource, "resourceData": {
                    "@odata.type": "#Microsoft.Graph.Event", "@odata.id": resource,
                    "@odata.etag": "W/\"1\"", "id": event,
                },
            })
        };
        let items: Vec<_> = (0..count).map(item).collect();
        let request = http::Request::post("https://roombridge.example/api/notifications")
            .header("content-type", "application/json; charset=utf-8")
            .body(Bytes::from(json!({ "value": items }).to_string()))?;
        Ok(self.world.microsoft.network.send(request).await?.status().as_u16())
    }
}

impl Cost {
    fn totals(&self) -> [usize; 3] {
        let graph = self.graph.iter().filter(|(name, _)| !name.ends_with("(within)"));
        let graph = graph.map(|(_, count)| count).sum();
        [self.tables.values().sum(), self.sends.values().sum(), graph]
    }

    /// A line of the table: what, the three totals, and what they are made of.
    fn line(&self, what: &str) -> String {
        let [tables, sends, graph] = self.totals();
        let mut line = format!("| {what} | {tables} | {sends} | {graph} | ");
        let mut parts: Vec<String> =
            self.tables.iter().map(|((verb, table), n)| format!("{n} {verb} {table}")).collect();
        parts.extend(self.sends.iter().map(|(queue, n)| format!("{n} to {queue}")));
        parts.extend(self.graph.iter().map(|(call, n)| format!("{n} `{call}`")));
        line.push_str(&parts.join(", "));
        line.push_str(" |");
        line
    }
}

async fn new_booking() -> Result<Cost, TestError> {
    let house = CostFixture::new().await?;
    house.reset_counters();
    house.meet(true, SignedDuration::ZERO)?;
    house.drain().await;
    Ok(house.cost())
}

async fn without_room() -> Result<Cost, TestError> {
    let house = CostFixture::new().await?;
    house.reset_counters();
    house.meet(false, SignedDuration::ZERO)?;
    house.drain().await;
    for table in [Table::Bookings, Table::Appointments] {
        assert!(house.world.memory_tables.rows(table).is_empty(), "{table:?}");
    }
    Ok(house.cost())
}

async fn post_items(count: usize) -> Result<Cost, TestError> {
    let house = CostFixture::new().await?;
    house.reset_counters();
    assert_eq!(house.post(count).await?, 202);
    Ok(house.cost())
}

async fn burst() -> Result<Cost, TestError> {
    let house = CostFixture::new().await?;
    house.reset_counters();
    house.world.microsoft.graph.set_max_items_per_post(1);
    house.meet(false, SignedDuration::ZERO)?;
    house.drain().await;
    Ok(house.cost())
}

/// One POST of so many appointments' storms, with content; not worked off.
async fn rich_at_once(count: usize) -> Result<Cost, TestError> {
    let house = CostFixture::with_rich_notifications().await?;
    house.world.microsoft.graph.set_max_items_per_post(4 * count);
    for number in 0..count {
        house.meet(false, SignedDuration::from_mins(i64::try_from(number)?))?;
    }
    house.reset_counters();
    let delivery = house.world.microsoft.graph.deliver_due().await;
    assert_eq!((delivery.posts.len(), delivery.delivered), (1, 4 * count));
    Ok(house.cost())
}

async fn rich_meeting(room: bool) -> Result<Cost, TestError> {
    let house = CostFixture::with_rich_notifications().await?;
    house.reset_counters();
    house.meet(room, SignedDuration::ZERO)?;
    house.drain().await;
    Ok(house.cost())
}

async fn echo() -> Result<Cost, TestError> {
    let (house, meeting) = CostFixture::with_booking().await?;
    house.reset_counters();
    meeting.set_property("String {a0000000-0000-4000-8000-0000000000aa} Name x", "y")?;
    house.drain().await;
    Ok(house.cost())
}

async fn resync() -> Result<Cost, TestError> {
    let house = CostFixture::new().await?;
    for number in 0..100 {
        house.meet(number % 10 == 0, SignedDuration::from_hours(number))?;
    }
    house.drain().await;
    house.expire_caches();
    house.reset_counters();
    house.world.fixtures().send_task(&house.anna, MailboxTaskKind::Resync).await?;
    house.drain().await;
    Ok(house.cost())
}

async fn purge() -> Result<Cost, TestError> {
    let (house, _) = CostFixture::with_booking().await?;
    house.world.clock.set("2026-11-24T10:00:00Z".parse()?);
    house.reset_counters();
    house.world.host.run_timer("purge-expired").await?;
    assert!(house.world.memory_tables.rows(Table::Bookings).is_empty());
    Ok(house.cost())
}

/// A thousand mailboxes of one tenant, all due at once.
async fn renewals() -> Result<Cost, TestError> {
    let house = CostFixture::new().await?;
    for number in 0..998 {
        house.world.fixtures().agree(&house.tenant.person(&format!("Person {number}"))).await?;
    }
    house.drain().await;
    house.world.clock.advance(SignedDuration::from_hours(73));
    house.reset_counters();
    house.world.host.run_timer("dispatch-due").await?;
    house.drain().await;
    let now = house.world.clock.now();
    let living = house.world.microsoft.graph.subscriptions();
    let renewed = living.iter().filter(|s| s.expires > now + SignedDuration::from_hours(5 * 24));
    assert_eq!(renewed.count(), 1_000);
    assert_eq!(house.world.memory_tables.rows(Table::Due).len(), 1_000);
    Ok(house.cost())
}

async fn cancel() -> Result<Cost, TestError> {
    let (house, meeting) = CostFixture::with_booking().await?;
    house.reset_counters();
    meeting.cancel()?;
    house.drain().await;
    Ok(house.cost())
}

async fn moved_booking() -> Result<Cost, TestError> {
    let (house, meeting) = CostFixture::with_booking().await?;
    house.reset_counters();
    meeting.move_to("2026-11-24T11:00:00Z".parse()?, "2026-11-24T12:00:00Z".parse()?)?;
    house.drain().await;
    Ok(house.cost())
}

/// The section of the README between its markers.
fn readme_section() -> Result<String, TestError> {
    let text = std::fs::read_to_string(world::test_world::repository_root().join("README.md"))?;
    let (_, rest) = text.split_once("<!-- counts -->").ok_or("README.md has no counts")?;
    let (section, _) =
        rest.split_once("<!-- /counts -->").ok_or("README.md's counts do not end")?;
    Ok(section.trim().to_owned())
}

#[tokio::test]
async fn what_things_cost_is_in_the_readme() -> TestResult {
    let measured = [
        (
            "A new booking: organizer with consent, Roombridge answers for the room; from the POST \
             with both copies' storms (1 created and 3 updated each) until settled, with the look \
             a minute later and the echoes of our own two writes",
            new_booking().await?,
        ),
        (
            "An appointment without a room (1 created and 3 updated in one POST)",
            without_room().await?,
        ),
        ("The same, each of the four in a POST of its own", burst().await?),
        ("The webhook, for one POST of one notification", post_items(1).await?),
        (
            "The webhook, for one POST of 10 notifications of 10 events of one tenant",
            post_items(10).await?,
        ),
        (
            "The webhook, for one POST of 100 notifications of 100 events of one tenant",
            post_items(100).await?,
        ),
        ("The same with content: one event in four notifications", rich_at_once(1).await?),
        ("The same with content: 10 events, each in four notifications", rich_at_once(10).await?),
        ("The same with content: 100 events, each in four notifications", rich_at_once(100).await?),
        ("With content: an appointment without a room", rich_meeting(false).await?),
        (
            "With content: a new booking as above, until settled, with the second read a minute later and \
             the echoes of our own two writes",
            rich_meeting(true).await?,
        ),
        ("An echo of our own write (3 updated in one POST)", echo().await?),
        ("A resync of an unchanged mailbox of 100 events, 10 of them with a room", resync().await?),
        ("A move", moved_booking().await?),
        ("A cancellation", cancel().await?),
        ("A run of `purge-expired` that forgets one booking", purge().await?),
        (
            "Renewing 1,000 mailboxes of one tenant, from the run of `dispatch-due` on, each with its \
             resync",
            renewals().await?,
        ),
    ];
    let mut table = "| what | table calls | queue calls | Graph requests | made of |\n\
                     |---|---:|---:|---:|---|"
        .to_owned();
    for (what, cost) in &measured {
        table.push('\n');
        table.push_str(&cost.line(what));
    }
    let written = readme_section()?;
    assert!(table == written, "README.md, between the markers, should say:\n\n{table}\n");
    Ok(())
}
