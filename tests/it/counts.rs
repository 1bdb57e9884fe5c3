//! What things cost: storage transactions and Graph requests, counted and not estimated.
//! `docs/measurements.md` has the totals, `tests/fixtures/counts.txt` what they are made of.
//!
//! Timers are not run, but for the purge that is counted: an idle one costs its own scans and no more.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::civil::Weekday;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock as _;
use roombridge::base::http::Http as _;
use roombridge::messages::MailboxTaskKind;
use roombridge::queue::Queue;
use roombridge::store::tables::{RowChange, RowKey, Table, TableRow, Tables as _};
use serde_json::json;
use world::exchange::{Invitation, Meeting, Oddities, Recurrence};
use world::fault_injection::{Call, Timeline};
use world::memory::QueueKind;

use crate::contoso::{Contoso, Who};
use crate::generated::{Section, assert_whole_file};
use crate::rich_subscriptions::enable_rich_notifications;
use crate::{TestError, TestResult};

/// Contoso with Anna and Aurora alone, quiet before anything is counted.
struct CostFixture {
    contoso: Contoso,
}

/// The calls so far.
#[derive(Default)]
struct Cost {
    tables: BTreeMap<(&'static str, &'static str), usize>,
    sends: BTreeMap<&'static str, usize>,
    graph: BTreeMap<String, usize>,
}

impl CostFixture {
    async fn new() -> Result<Self, TestError> {
        let builder = Contoso::builder().seed(3).followed(&[Who::Anna, Who::Aurora]);
        let builder = builder.oddities(Oddities::NONE);
        let fixture = Self { contoso: builder.open().await? };
        fixture.drain().await;
        fixture.expire_caches();
        Ok(fixture)
    }

    /// The same, with content in its notifications.
    async fn with_rich_notifications() -> Result<Self, TestError> {
        let fixture = Self::new().await?;
        enable_rich_notifications(
            &fixture.contoso.world,
            &fixture.contoso.tenant,
            &[&fixture.contoso.anna, &fixture.contoso.aurora],
        )
        .await?;
        fixture.drain().await;
        fixture.expire_caches();
        Ok(fixture)
    }

    /// Each case begins on its own, when what was cached for a minute is read again.
    fn expire_caches(&self) {
        self.contoso.world.clock.advance(SignedDuration::from_mins(2));
    }

    /// One booking, settled and quiet.
    async fn with_booking() -> Result<(Self, Meeting), TestError> {
        let fixture = Self::new().await?;
        let meeting = fixture.meet(true, SignedDuration::ZERO)?;
        fixture.drain().await;
        fixture.expire_caches();
        Ok((fixture, meeting))
    }

    /// An hour every Tuesday for a year, settled and quiet.
    async fn with_series() -> Result<(Self, Meeting), TestError> {
        let fixture = Self::new().await?;
        let meeting = fixture.meet_weekly()?;
        fixture.drain().await;
        fixture.expire_caches();
        Ok((fixture, meeting))
    }

    fn meet_weekly(&self) -> Result<Meeting, TestError> {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse()?;
        let rule = Recurrence::weekly(&[Weekday::Tuesday]).times(52);
        let invitation = Invitation::new("Standup", start, start + SignedDuration::from_hours(1));
        let invitation = invitation.room(&self.contoso.aurora).series(rule);
        Ok(self.contoso.tenant.meet(&self.contoso.anna, invitation)?)
    }

    fn meet(&self, room: bool, shift: SignedDuration) -> Result<Meeting, TestError> {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse()?;
        let end = start + SignedDuration::from_hours(1);
        let invitation = Invitation::new("Quarterly numbers", start + shift, end + shift);
        let invitation = if room { invitation.room(&self.contoso.aurora) } else { invitation };
        Ok(self.contoso.tenant.meet(&self.contoso.anna, invitation)?)
    }

    /// Until no notification and no message is left, delayed ones included.
    async fn drain(&self) {
        loop {
            self.contoso.world.run_until_idle().await;
            let kinds = Queue::ALL.map(QueueKind::Main);
            let next = kinds
                .iter()
                .filter_map(|s| self.contoso.world.memory_outbox.next_visible_at(*s))
                .min();
            let Some(next) = next else { break };
            self.contoso.world.clock.set(next.max(self.contoso.world.clock.now()));
        }
    }

    fn reset_counters(&self) {
        self.contoso.world.table_faults.reset();
        self.contoso.world.queue_faults.reset();
        self.contoso.world.microsoft.graph.clear_requests();
    }

    fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for Call { method: verb, target } in self.contoso.world.table_faults.calls() {
            *cost.tables.entry((verb, target)).or_default() += 1;
        }
        for Call { target, .. } in self.contoso.world.queue_faults.calls() {
            *cost.sends.entry(target).or_default() += 1;
        }
        for request in self.contoso.world.microsoft.graph.requests() {
            let within = if request.in_batch { " (within)" } else { "" };
            let name = format!("{} {}{within}", request.method, request.template);
            *cost.graph.entry(name).or_default() += 1;
        }
        assert!(self.contoso.world.memory_tables.rows(Table::Failures).is_empty());
        cost
    }

    /// A POST with `count` notifications, each of another event, as Graph would send it for Anna.
    async fn post(&self, count: usize) -> Result<u16, TestError> {
        use roombridge::identity::keys::client_state::{SecretKey, issue};
        use roombridge::store::mailboxes::Mailboxes;
        let mailboxes = Mailboxes::new(self.contoso.world.memory_tables.clone());
        let (tenant, id) = (self.contoso.tenant.id().parse()?, self.contoso.anna.id().parse()?);
        let nonce = mailboxes.get(tenant, id).await?.and_then(|(row, _)| row.nonce);
        let state = issue(&SecretKey::new("k1".parse()?, &[7; 32]), tenant, id, nonce.unwrap_or(0));
        let item = |number: usize| {
            let event = format!("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AAAAAAAAAAAAAAAA{number:03}");
            let resource = format!("Users/{}/Events/{event}", self.contoso.anna.id());
            json!({
                "subscriptionId": "b0000000-0000-4000-8000-000000000001",
                "subscriptionExpirationDateTime": "2026-11-29T08:00:00Z",
                "clientState": state, "tenantId": self.contoso.tenant.id(), "changeType": "updated",
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
        Ok(self.contoso.world.microsoft.network.send(request).await?.status().as_u16())
    }
}

impl Cost {
    fn totals(&self) -> [usize; 3] {
        let graph = self.graph.iter().filter(|(name, _)| !name.ends_with("(within)"));
        let graph = graph.map(|(_, count)| count).sum();
        [self.tables.values().sum(), self.sends.values().sum(), graph]
    }

    /// A line of the table: what, and the three totals.
    fn line(&self, what: &str) -> String {
        let [tables, sends, graph] = self.totals();
        format!("| {what} | {tables} | {sends} | {graph} |\n")
    }

    /// What the totals are made of, one kind of call a line.
    fn composition(&self, what: &str) -> String {
        let mut parts: Vec<String> =
            self.tables.iter().map(|((verb, table), n)| format!("{n} {verb} {table}")).collect();
        parts.extend(self.sends.iter().map(|(queue, n)| format!("{n} to {queue}")));
        parts.extend(self.graph.iter().map(|(call, n)| format!("{n} {call}")));
        format!("{what}\n    {}\n", parts.join("\n    "))
    }
}

async fn new_booking() -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    fixture.reset_counters();
    fixture.meet(true, SignedDuration::ZERO)?;
    fixture.drain().await;
    Ok(fixture.cost())
}

async fn new_series() -> Result<Cost, TestError> {
    new_series_beside(0).await
}

/// With so many other bookings of the tenant in the store.
async fn new_series_beside(others: u32) -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    let tables = &fixture.contoso.world.memory_tables;
    for number in 0..others {
        let partition = format!("{}_{number:032x}", fixture.contoso.tenant.id());
        let key = RowKey::new(partition, "-");
        let row = TableRow { key, properties: serde_json::Map::new() };
        tables.apply(Table::Bookings, vec![RowChange::Insert(row)]).await?;
    }
    fixture.reset_counters();
    fixture.meet_weekly()?;
    fixture.drain().await;
    assert_eq!(tables.rows(Table::Bookings).len(), 52 + others as usize);
    Ok(fixture.cost())
}

async fn moved_date() -> Result<Cost, TestError> {
    let (fixture, meeting) = CostFixture::with_series().await?;
    fixture.reset_counters();
    let date = meeting.occurrence("2026-12-08T09:00:00Z".parse()?);
    date.move_to("2026-12-08T11:00:00Z".parse()?, "2026-12-08T12:00:00Z".parse()?)?;
    fixture.drain().await;
    Ok(fixture.cost())
}

async fn without_room() -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    fixture.reset_counters();
    fixture.meet(false, SignedDuration::ZERO)?;
    fixture.drain().await;
    for table in [Table::Bookings, Table::Appointments] {
        assert!(fixture.contoso.world.memory_tables.rows(table).is_empty(), "{table:?}");
    }
    Ok(fixture.cost())
}

async fn post_items(count: usize) -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    fixture.reset_counters();
    assert_eq!(fixture.post(count).await?, 202);
    Ok(fixture.cost())
}

async fn burst() -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    fixture.reset_counters();
    fixture.contoso.world.microsoft.graph.set_max_items_per_post(1);
    fixture.meet(false, SignedDuration::ZERO)?;
    fixture.drain().await;
    Ok(fixture.cost())
}

/// One POST of so many appointments' storms, with content; not worked off.
async fn rich_at_once(count: usize) -> Result<Cost, TestError> {
    let fixture = CostFixture::with_rich_notifications().await?;
    fixture.contoso.world.microsoft.graph.set_max_items_per_post(4 * count);
    for number in 0..count {
        fixture.meet(false, SignedDuration::from_mins(i64::try_from(number)?))?;
    }
    fixture.reset_counters();
    let delivery = fixture.contoso.world.microsoft.graph.deliver_due().await;
    assert_eq!((delivery.posts.len(), delivery.delivered), (1, 4 * count));
    Ok(fixture.cost())
}

async fn rich_meeting(room: bool) -> Result<Cost, TestError> {
    let fixture = CostFixture::with_rich_notifications().await?;
    fixture.reset_counters();
    fixture.meet(room, SignedDuration::ZERO)?;
    fixture.drain().await;
    Ok(fixture.cost())
}

async fn echo() -> Result<Cost, TestError> {
    let (fixture, meeting) = CostFixture::with_booking().await?;
    fixture.reset_counters();
    meeting.set_property("String {a0000000-0000-4000-8000-0000000000aa} Name x", "y")?;
    fixture.drain().await;
    Ok(fixture.cost())
}

async fn resync() -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    for number in 0..100 {
        fixture.meet(number % 10 == 0, SignedDuration::from_hours(number))?;
    }
    fixture.drain().await;
    fixture.expire_caches();
    fixture.reset_counters();
    fixture
        .contoso
        .world
        .fixtures()
        .send_task(&fixture.contoso.anna, MailboxTaskKind::Resync)
        .await?;
    fixture.drain().await;
    Ok(fixture.cost())
}

async fn purge() -> Result<Cost, TestError> {
    let (fixture, _) = CostFixture::with_booking().await?;
    fixture.contoso.world.clock.set("2026-11-24T10:00:00Z".parse()?);
    fixture.reset_counters();
    fixture.contoso.world.host.run_timer("purge-expired").await?;
    assert!(fixture.contoso.world.memory_tables.rows(Table::Bookings).is_empty());
    Ok(fixture.cost())
}

/// A thousand mailboxes of one tenant, all due at once.
async fn renewals() -> Result<Cost, TestError> {
    let fixture = CostFixture::new().await?;
    for number in 0..998 {
        fixture
            .contoso
            .world
            .fixtures()
            .agree(&fixture.contoso.tenant.person(&format!("Person {number}")))
            .await?;
    }
    fixture.drain().await;
    fixture.contoso.world.clock.advance(SignedDuration::from_hours(73));
    fixture.reset_counters();
    fixture.contoso.world.host.run_timer("dispatch-due").await?;
    fixture.drain().await;
    let now = fixture.contoso.world.clock.now();
    let living = fixture.contoso.world.microsoft.graph.subscriptions();
    let renewed = living.iter().filter(|s| s.expires > now + SignedDuration::from_hours(5 * 24));
    assert_eq!(renewed.count(), 1_000);
    assert_eq!(fixture.contoso.world.memory_tables.rows(Table::Due).len(), 1_000);
    Ok(fixture.cost())
}

async fn cancel() -> Result<Cost, TestError> {
    let (fixture, meeting) = CostFixture::with_booking().await?;
    fixture.reset_counters();
    meeting.cancel()?;
    fixture.drain().await;
    Ok(fixture.cost())
}

async fn moved_booking() -> Result<Cost, TestError> {
    let (fixture, meeting) = CostFixture::with_booking().await?;
    fixture.reset_counters();
    meeting.move_to("2026-11-24T11:00:00Z".parse()?, "2026-11-24T12:00:00Z".parse()?)?;
    fixture.drain().await;
    Ok(fixture.cost())
}

/// What is called, one after the other, until the room has answered a new invitation. What a function
/// does when the next one has its message is nothing that anybody waits for.
async fn until_the_room_answers() -> Result<Vec<String>, TestError> {
    let fixture = CostFixture::new().await?;
    fixture.reset_counters();
    let (timeline, world) = (Timeline::default(), &fixture.contoso.world);
    world.table_faults.record_into(&timeline);
    world.queue_faults.record_into(&timeline);
    world.microsoft.graph.record_into(&timeline);
    fixture.meet(true, SignedDuration::ZERO)?;
    world.microsoft.exchange.deliver_due();
    world.microsoft.graph.deliver_due().await;
    let mut path = timeline.calls();
    for (function, onward) in [
        ("fetch-event", "send create-booking"),
        ("create-booking", "send write-back"),
        ("write-back", "POST /users/{id}/events/{id}/accept"),
    ] {
        let before = timeline.calls().len();
        let messages = world.host.dequeue_all().await;
        let message = messages.into_iter().find(|message| message.function == function);
        world.host.process_message(message.ok_or("no message comes")?).await;
        let calls = timeline.calls().split_off(before);
        let last = calls.iter().position(|call| call == onward).ok_or("it leads nowhere")?;
        path.extend(calls.into_iter().take(last + 1));
    }
    Ok(path)
}

#[tokio::test]
async fn what_a_person_waits_for_is_in_the_documents() -> TestResult {
    let calls = until_the_room_answers().await?;
    let count = |of: fn(&str) -> bool| calls.iter().filter(|call| of(call)).count();
    let graph = count(|call| call.contains('/'));
    let queues = count(|call| call.starts_with("send "));
    let tables = calls.len() - graph - queues;
    let said = format!(
        "Until the room has answered there are {} calls, [one after the other]\
         (../tests/fixtures/until-the-answer.txt): {tables} to tables, {queues} to queues, {graph} to \
         Graph.",
        calls.len()
    );
    assert_whole_file("tests/fixtures/until-the-answer.txt", &(calls.join("\n") + "\n"))?;
    Section::new("docs/measurements.md", "until-the-answer", said).assert_up_to_date()
}

#[tokio::test]
async fn what_things_cost_is_in_the_documents() -> TestResult {
    let measured = [
        (
            "A new booking: a POST about both copies (1 created and 3 updated each) until settled, \
             with the echoes of our two writes, which are the second look at each copy",
            new_booking().await?,
        ),
        (
            "An appointment without a room (1 created and 3 updated in one POST)",
            without_room().await?,
        ),
        ("The same, each in a POST of its own", burst().await?),
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
        ("With content: a new booking as above", rich_meeting(true).await?),
        ("An echo of our own write (3 updated in one POST)", echo().await?),
        ("A resync of an unchanged mailbox of 100 events, 10 of them with a room", resync().await?),
        ("A new series of 52 dates, until settled as above", new_series().await?),
        ("A move of one of its dates", moved_date().await?),
        ("A move", moved_booking().await?),
        ("A cancellation", cancel().await?),
        ("A run of `purge-expired` that forgets one booking", purge().await?),
        ("Renewing 1,000 mailboxes of one tenant, each with its resync", renewals().await?),
    ];
    let head = "| what | table calls | queue calls | Graph requests |\n|---|---:|---:|---:|\n";
    // What the webhook alone does is one message, or few: the fixture has it.
    let with_rows = measured.iter().filter(|(_, cost)| !cost.tables.is_empty());
    let lines: String = with_rows.map(|(what, cost)| cost.line(what)).collect();
    let parts: String = measured.iter().map(|(what, cost)| cost.composition(what)).collect();
    assert_whole_file("tests/fixtures/counts.txt", &parts)?;
    Section::new("docs/measurements.md", "counts", head.to_owned() + &lines).assert_up_to_date()
}

#[tokio::test]
async fn a_series_costs_the_same_beside_a_hundred_thousand_bookings() -> TestResult {
    let (alone, beside) = (new_series_beside(0).await?, new_series_beside(100_000).await?);
    assert_eq!(beside.composition(""), alone.composition(""));
    Ok(())
}

/// At most three times what a single meeting costs.
#[tokio::test]
async fn a_series_of_a_year_costs_at_most_three_times_a_single() -> TestResult {
    let ([tables, sends, graph], single) =
        (new_series().await?.totals(), new_booking().await?.totals());
    let allowed = single.map(|count| 3 * count);
    assert!(tables <= allowed[0] && sends <= allowed[1] && graph <= allowed[2]);
    Ok(())
}
