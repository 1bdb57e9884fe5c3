//! What nobody may read anywhere: names, addresses, subjects and bodies, in logs, in rows, in
//! messages; and what Graph may never be asked.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::http::Http as _;
use roombridge::domain::personal::Personal;
use roombridge::domain::tenant::policy::{ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::graph::fields::FORBIDDEN;
use roombridge::messages::Message as _;
use roombridge::queue::{Outbox as _, Queue};
use roombridge::store::bookings::Bookings;
use roombridge::store::tables::{Table, TableRow, Tables};
use world::exchange::{Invitation, Mailbox, Meeting, Role};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, RequestFault, Scope, ThrottleEnd};
use world::log_capture;
use world::memory::QueueKind;
use world::test_world::{APP_HOST, TestWorld};

use crate::contoso::{Contoso, ContosoBuilder, Who};
use crate::{TestError, TestResult};

/// People and what they talk about; the rooms' names and addresses are no secret.
const SECRETS: [&str; 6] = [
    "Wilhelmina",
    "wilhelminazonderland",
    "uackenbush",
    "Acquisition of Umbrella",
    "Oncology",
    "Nightingale",
];

/// An organisation with a person whose name one remembers: Wilhelmina, who has agreed.
struct NamedTenant {
    contoso: Contoso,
}

impl NamedTenant {
    async fn open(builder: ContosoBuilder) -> Result<Self, TestError> {
        let builder = builder.guests(&["Wilhelmina Zonderland"]).followed(&[Who::Aurora]);
        let contoso = builder.prepare().await?;
        contoso.world.fixtures().agree(&contoso.guests[0]).await?;
        Ok(Self { contoso })
    }

    fn wilhelmina(&self) -> &Mailbox {
        &self.contoso.guests[0]
    }

    fn room(&self) -> &Mailbox {
        &self.contoso.aurora
    }

    fn invitation(&self, hour: i64) -> Invitation {
        let day: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let start = day + SignedDuration::from_hours(hour);
        let end = start + SignedDuration::from_hours(1);
        Invitation::new("Acquisition of Umbrella", start, end)
            .body("Project Nightingale is over budget")
            .attendee("Xaver Quackenbush", "xaver.quackenbush@outside.example", Role::Required)
    }

    fn meet(&self, invitation: Invitation) -> Result<Meeting, TestError> {
        Ok(self.contoso.tenant.meet(self.wilhelmina(), invitation)?)
    }
}

/// Lets `duration` pass and keeps the text of every message that was sent meanwhile.
async fn run_for(world: &TestWorld, duration: SignedDuration, sent: &mut Vec<String>) {
    let until = world.now() + duration;
    loop {
        world.host.run_due_timers().await;
        loop {
            let travelled = world.microsoft.exchange.deliver_due();
            let delivered = world.microsoft.graph.deliver_due().await.posts.len();
            for queue in Queue::ALL {
                for kind in [QueueKind::Main(queue), QueueKind::Poison(queue)] {
                    sent.extend(world.memory_outbox.messages(kind).into_iter().map(|m| m.text));
                }
            }
            if travelled + delivered + world.host.process_all().await.len() == 0 {
                break;
            }
        }
        let Some(next) = world.next_event().filter(|next| *next <= until) else { break };
        world.clock.set(next);
    }
    world.clock.set(until);
}

/// Bad input, with names wherever a text fits.
async fn post_bad_input(world: &TestWorld) -> TestResult {
    let url = format!("https://{APP_HOST}/api/notifications");
    let item = r#"{"value":[{"clientState":"Wilhelmina","tenantId":"Oncology","changeType":"updated",
        "resource":"Users/wilhelminazonderland@contoso.example/Events/Nightingale",
        "resourceData":{"id":"Nightingale","subject":"Acquisition of Umbrella"}}]}"#;
    for body in ["{\"subject\": \"Acquisition of Umbrella\"", "[\"Wilhelmina\"]", item] {
        let request = http::Request::post(format!("{url}?name=Wilhelmina"))
            .header("content-type", "application/json")
            .header("x-name", "Wilhelmina")
            .body(Bytes::from(body))?;
        drop(world.microsoft.network.send(request).await?);
    }
    for queue in Queue::ALL {
        let text = r#"{"EventChanges":{"subject":"Acquisition of Umbrella, by Wilhelmina"}}"#;
        world.memory_outbox.send(queue, text.to_owned(), std::time::Duration::ZERO).await?;
    }
    Ok(())
}

/// Booked, private, moved, refused, cancelled, room-less, throttled, failed.
async fn run_full_lifecycle(
    world: &TestWorld,
    firm: &NamedTenant,
    sent: &mut Vec<String>,
) -> Result<Meeting, TestError> {
    let minutes = SignedDuration::from_mins;
    let meeting = firm.meet(firm.invitation(1).room(firm.room()))?;
    let private = firm.meet(firm.invitation(3).room(firm.room()).private())?;
    private.rename("Oncology")?;
    firm.meet(firm.invitation(1).room(firm.room()))?;
    let alone = firm.meet(firm.invitation(6).with(firm.wilhelmina()))?;
    let copy = alone.copy_in(firm.wilhelmina()).ok_or("no copy")?;
    log_capture::install().add_secret(&copy.event);
    run_for(world, minutes(5), sent).await;
    let secret = |text: &String| text.contains(&copy.event);
    for table in Table::ALL {
        assert!(
            !world.memory_tables.rows(table).iter().map(row_text).any(|t| secret(&t)),
            "{table:?}"
        );
    }
    let everything = Scope::Everything;
    world.microsoft.graph.throttle(everything, ThrottleEnd::Requests(3), 429);
    private.move_to("2026-11-24T16:00:00Z".parse()?, "2026-11-24T17:00:00Z".parse()?)?;
    run_for(world, minutes(5), sent).await;
    for _ in 0..8 {
        let (method, template) = ("GET", "/users/{id}/events/{id}");
        let (moment, outcome) = (Fault::Before, Answer::Status(400));
        world.microsoft.graph.plan_fault(RequestFault {
            method,
            template,
            nth: 1,
            moment,
            outcome,
        });
    }
    private.cancel()?;
    run_for(world, minutes(60), sent).await;
    Ok(meeting)
}

fn row_text(row: &TableRow) -> String {
    format!("{:?} {}", row.key, serde_json::Value::Object(row.properties.clone()))
}

fn leaked_secret(text: &str) -> Option<&'static str> {
    SECRETS.into_iter().find(|secret| text.contains(secret))
}

#[tokio::test]
async fn names_and_subjects_are_nowhere() -> TestResult {
    let contoso = NamedTenant::open(Contoso::builder().seed(11)).await?;
    let world = &contoso.contoso.world;
    let mut sent = Vec::new();
    run_for(world, SignedDuration::from_mins(1), &mut sent).await;
    let before = log_capture::install().lines();
    run_full_lifecycle(world, &contoso, &mut sent).await?;
    for message in &sent {
        assert_eq!(leaked_secret(message), None, "a message contains it: {message}");
    }
    post_bad_input(world).await?;
    run_for(world, SignedDuration::from_hours(1), &mut Vec::new()).await;

    assert!(
        !world.memory_tables.rows(Table::Failures).is_empty(),
        "nothing failed, so nothing is shown"
    );
    for table in Table::ALL {
        for row in world.memory_tables.rows(table).iter().map(row_text) {
            assert_eq!(leaked_secret(&row), None, "{table:?} contains it: {row}");
        }
    }
    let graph = &world.microsoft.graph;
    assert_eq!(graph.violations(), []);
    for request in graph.requests() {
        let asked = request.select.iter().any(|field| FORBIDDEN.contains(&field.as_str()));
        assert!(!asked, "{request:?}");
        assert!(!request.select.iter().any(|field| field == "subject"), "{request:?}");
    }
    let guard = world.app.graph().counts();
    assert!(guard.calendar_reads > 0);
    assert_eq!(guard.blocked, 0);
    assert!(log_capture::install().lines() > before + 100, "nothing is captured");
    assert_eq!(log_capture::install().leaked_lines(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_keeps_content_keeps_it_in_its_bookings_and_nowhere_else() -> TestResult {
    let content = ContentPolicy {
        subject: SubjectPolicy::Keep,
        people: PeoplePolicy::Addresses,
        ..ContentPolicy::default()
    };
    let builder = Contoso::builder().seed(12).name("Fabrikam").content(content);
    let fabrikam = NamedTenant::open(builder).await?;
    let world = &fabrikam.contoso.world;
    let mut sent = Vec::new();
    let meeting = run_full_lifecycle(world, &fabrikam, &mut sent).await?;
    for message in &sent {
        assert_eq!(leaked_secret(message), None, "a message contains it: {message}");
    }
    for table in Table::ALL {
        for row in world.memory_tables.rows(table).iter() {
            let may = table == Table::Bookings;
            assert!(
                may || leaked_secret(&row_text(row)).is_none(),
                "{table:?} contains it: {}",
                row_text(row)
            );
            assert_eq!(leaked_secret(&format!("{row:?}")), None, "a row shows its properties");
        }
    }
    let bookings = Bookings::new(Arc::clone(&world.memory_tables) as Arc<dyn Tables>);
    let (booking, _) = bookings
        .get(&fabrikam.contoso.booking_key(&meeting, fabrikam.room())?)
        .await?
        .ok_or("not booked")?;
    let rows = world.memory_tables.rows(Table::Bookings);
    assert!(
        rows.iter().any(|row| row_text(row).contains("Acquisition of Umbrella")),
        "kept by policy"
    );
    assert!(
        !rows.iter().any(|row| row_text(row).contains("Oncology")),
        "a private subject is kept"
    );
    assert_eq!(
        leaked_secret(&format!("{booking:?} {booking:#?}")),
        None,
        "a booking shows its content"
    );
    let ical_uid = booking.ical_uid.as_ref().ok_or("it is booked")?;
    assert!(!format!("{booking:?}").contains(ical_uid.reveal()));
    assert_eq!(log_capture::install().leaked_lines(), Vec::<String>::new());
    Ok(())
}

#[test]
fn types_that_hold_content_do_not_print_it() -> TestResult {
    let said = Personal::new("Acquisition of Umbrella");
    assert_eq!(leaked_secret(&format!("{said:?}")), None);
    let body = br#"{"value":[{"clientState":"Wilhelmina","tenantId":"a0000000-0000-4000-8000-000000000001",
        "changeType":"updated","resource":"Users/wilhelminazonderland@contoso.example/Events/AAMk",
        "resourceData":{"id":"AAMk","subject":"Acquisition of Umbrella"}}]}"#;
    let items = roombridge::graph::notifications::parse(body).map_err(|e| e.to_string())?;
    assert_eq!(leaked_secret(&format!("{items:?}")), None, "an item shows what came with it");
    let broken = roombridge::graph::notifications::parse(b"{\"Wilhelmina\": ").err();
    assert_eq!(leaked_secret(&format!("{broken:?}")), None);
    let strange = roombridge::messages::EventChanges::from_text("{\"Wilhelmina\": 1}").err();
    assert_eq!(leaked_secret(&format!("{strange:?} {strange:#?}")), None);
    Ok(())
}

/// Forbidden words as whole string literals, outside the one list and the tests below the code.
#[test]
fn no_other_file_of_the_graph_client_names_a_forbidden_field() -> TestResult {
    let mut paths = vec![world::test_world::repository_root().join("handlers/graph")];
    let mut read = 0;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(path)? {
                paths.push(entry?.path());
            }
            continue;
        }
        if path.ends_with("fields.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path)?;
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            // Prose has spaces; what is sent to Graph has none.
            let literals = line.split('"').skip(1).step_by(2).filter(|text| !text.contains(' '));
            let words = literals.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
            for word in words {
                // A batch's own envelope has a body.
                let envelope =
                    word == "body" && (path.ends_with("batch.rs") || path.ends_with("requests.rs"));
                assert!(envelope || !FORBIDDEN.contains(&word), "{path:?}: {line}");
            }
        }
        read += 1;
    }
    assert!(read > 20);
    Ok(())
}
