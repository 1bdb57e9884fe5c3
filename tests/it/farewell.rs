//! How a mailbox is left: rooms go on anonymously or are given up, and nothing of a person stays.

use roombridge::domain::appointment::{Desired, Ended, OrganizerCopy};
use roombridge::domain::booking::Observed;
use roombridge::domain::policy::{ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::domain::tenancy::{SuspendedBecause, Suspension, TenantState};
use roombridge::messages::Task;
use roombridge::store::mailboxes::{Farewell, MailboxState};
use roombridge::store::tables::Table;
use roombridge::store::tenants::{Tenant, Tenants};
use world::exchange::{Mailbox, Response};
use world::graph::{Fault, Moment, Outcome as Answer};
use world::microsoft::DAEMON_APP;

use crate::contoso::{Contoso, at, hours, minutes, on_both};
use crate::{Failure, Outcome};

on_both!(
    who_gives_up_the_rooms_frees_them_and_the_organizer_is_told,
    who_erases_everything_leaves_nothing_behind,
);

/// How long a tombstone stays in these stories.
const TOMBSTONE: i64 = 29;

impl Contoso {
    /// Anna leaves like this, and everything that follows at once has happened.
    async fn anna_leaves(&self, state: MailboxState, task: Task) -> Outcome {
        let seeding = self.office.seeding();
        seeding.stand(&self.anna, state).await?;
        seeding.task(&self.anna, task).await?;
        self.pass(minutes(2)).await;
        Ok(())
    }

    async fn stands(&self, state: TenantState) -> Outcome {
        let store = std::sync::Arc::clone(&self.office.store);
        let tenants = Tenants::new(store, std::sync::Arc::new(self.office.clock.clone()));
        let (tenant, etag) = tenants.read(self.tenant_id()?).await?.ok_or("no such tenant")?;
        tenants.replace(&Tenant { state, ..tenant }, &etag).await?;
        Ok(())
    }

    fn erased(&self, farewell: Farewell) -> MailboxState {
        MailboxState::Erased(farewell, self.now() + hours(TOMBSTONE))
    }

    /// Where rows and waiting messages name `person`: by id, address, name, or the id of one of
    /// their copies in `events`. The register may, and the tombstone with its due entry.
    async fn traces(&self, person: &Mailbox, events: &[String]) -> Result<Vec<String>, Failure> {
        let words = [person.id(), person.address(), "Anna", "Quarterly numbers"];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend_from_slice(events);
        let mut found = Vec::new();
        for table in Table::ALL {
            for row in self.rows(table).await? {
                let text = serde_json::to_string(&row.properties)?;
                let text = format!("{} {} {text}", row.keys.partition, row.keys.row);
                let named = words.iter().any(|word| text.contains(word.as_str()));
                let own = matches!(table, Table::Mailboxes | Table::Due | Table::Register)
                    && row.keys.row.ends_with(person.id());
                if named && !own {
                    found.push(format!("{table:?} {} {}", row.keys.partition, row.keys.row));
                }
            }
        }
        for queue in roombridge::queue::Queue::ALL {
            let shelf = roombridge::queue::memory::Shelf::Main(queue);
            for message in self.office.outbox.messages(shelf) {
                if words.iter().any(|word| message.text.contains(word.as_str())) {
                    found.push(format!("{queue:?}"));
                }
            }
        }
        Ok(found)
    }
}

/// Everything that a tenant may let into a booking.
async fn open_minded() -> Result<Contoso, Failure> {
    let (subject, people) = (SubjectPolicy::Keep, PeoplePolicy::Addresses);
    Contoso::with(ContentPolicy { subject, people, ..ContentPolicy::default() }).await
}

#[tokio::test]
async fn who_withdraws_leaves_the_booking_to_the_rooms_own_copy() -> Outcome {
    let contoso = open_minded().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(5)).await;
    let state = MailboxState::Withdrawn(Farewell::Anonymous);
    contoso.anna_leaves(state, Task::Unsubscribe).await?;

    let booking = contoso.booked(&meeting, &contoso.aurora).await?;
    assert!(matches!(booking.observed, Observed::Booked(_)));
    let Desired::Wanted(wish) = &booking.desired else { return Err("not wanted".into()) };
    assert_eq!(wish.facts.details, Default::default(), "nothing of what Anna's copy said");
    assert_eq!(meeting.answer_of(&contoso.aurora), Some(Response::Accepted));
    contoso.is_well().await
}

async fn who_gives_up_the_rooms_frees_them_and_the_organizer_is_told(contoso: Contoso) -> Outcome {
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let at_aurora = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let at_borealis = contoso.meet(anna, ("09:00", "10:00"), borealis)?;
    contoso.pass(minutes(5)).await;
    let state = MailboxState::Withdrawn(Farewell::Released);
    contoso.anna_leaves(state, Task::Unsubscribe).await?;
    contoso.pass(minutes(10)).await;

    for (meeting, room) in [(&at_aurora, aurora), (&at_borealis, borealis)] {
        let booking = contoso.booked(meeting, room).await?;
        assert_eq!(booking.desired, Desired::Unwanted(Ended::GivenUp));
        assert_eq!(booking.observed, Observed::Nothing);
        assert_eq!(meeting.answer_of(room), Some(Response::Declined));
        assert_eq!(contoso.taken(room, "2026-11-24").await?, []);
        assert_eq!(contoso.word(meeting, anna, room)?, Some(serde_json::json!({})));
    }
    // Ben takes the time that has become free.
    let bens = contoso.meet(&contoso.ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    assert_eq!(bens.answer_of(aurora), Some(Response::Accepted));
    // Who asks the room again, knowing that it was given up, gets it like anybody else.
    at_borealis.move_to(at("14:00"), at("15:00"))?;
    contoso.pass(minutes(5)).await;
    assert!(matches!(contoso.booked(&at_borealis, borealis).await?.observed, Observed::Booked(_)));
    contoso.is_well().await
}

async fn who_erases_everything_leaves_nothing_behind(contoso: Contoso) -> Outcome {
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let meetings = [
        contoso.meet(anna, ("09:00", "10:00"), aurora)?,
        contoso.meet(anna, ("11:00", "12:00"), borealis)?,
    ];
    contoso.pass(minutes(5)).await;
    let events: Vec<String> = meetings
        .iter()
        .filter_map(|meeting| meeting.copy_in(anna).map(|copy| copy.event))
        .collect();
    assert_eq!(events.len(), 2);
    assert!(!contoso.traces(anna, &events).await?.is_empty());
    let old = contoso.client_state(anna).await?;

    contoso.anna_leaves(contoso.erased(Farewell::Anonymous), Task::Erase).await?;
    assert_eq!(contoso.traces(anna, &events).await?, Vec::<String>::new());
    for (meeting, room) in meetings.iter().zip([aurora, borealis]) {
        assert_eq!(contoso.word(meeting, anna, room)?, Some(serde_json::json!({})));
        assert!(matches!(contoso.booked(meeting, room).await?.observed, Observed::Booked(_)));
    }

    // What Graph delivers again finds nobody.
    contoso.office.microsoft.graph.clear_requests();
    let again = serde_json::json!({ "value": [{
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "clientState": old,
        "changeType": "updated",
        "tenantId": contoso.tenant.id(),
        "resource": format!("Users/{}/Events/{}", anna.id(), events[0]),
        "resourceData": { "id": events[0] },
    }]});
    assert_eq!(contoso.post(again.to_string()).await?, 202);
    contoso.pass(minutes(5)).await;
    assert_eq!(contoso.asked("GET", "/users/{id}/events/{id}"), []);
    assert_eq!(contoso.traces(anna, &events).await?, Vec::<String>::new());

    // And at last the tombstone goes, too.
    contoso.pass(hours(TOMBSTONE + 1)).await;
    assert!(contoso.mailbox(anna).await.is_err());
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| !row.keys.row.contains(anna.id())), "{due:?}");
    contoso.is_well().await
}

#[tokio::test]
async fn who_erases_and_gives_up_the_rooms_leaves_them_free() -> Outcome {
    let contoso = open_minded().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(5)).await;
    let events = vec![meeting.copy_in(&contoso.anna).ok_or("no copy")?.event];
    contoso.anna_leaves(contoso.erased(Farewell::Released), Task::Erase).await?;
    contoso.pass(minutes(10)).await;
    assert_eq!(contoso.traces(&contoso.anna, &events).await?, Vec::<String>::new());
    assert_eq!(meeting.answer_of(&contoso.aurora), Some(Response::Declined));
    assert_eq!(contoso.taken(&contoso.aurora, "2026-11-24").await?, []);
    contoso.is_well().await
}

#[tokio::test]
async fn who_leaves_while_access_is_lost_is_forgotten_at_once_and_the_rest_waits() -> Outcome {
    let later = ("2026-12-03T09:00", "2026-12-03T10:00");
    for erased in [false, true] {
        let contoso = open_minded().await?;
        let Contoso { anna, aurora, office, tenant, .. } = &contoso;
        let meeting = contoso.meet(anna, later, aurora)?;
        contoso.pass(minutes(5)).await;
        office.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
        let (since, reason) = (contoso.now(), SuspendedBecause::TokenRefused);
        contoso.stands(TenantState::Suspended(Suspension { since, reason })).await?;
        let (state, task) = match erased {
            true => (contoso.erased(Farewell::Released), Task::Erase),
            false => (MailboxState::Withdrawn(Farewell::Released), Task::Unsubscribe),
        };
        contoso.anna_leaves(state, task).await?;
        let booking = contoso.booked(&meeting, aurora).await?;
        assert_eq!(booking.desired, Desired::Unwanted(Ended::GivenUp));
        assert_eq!(booking.copies.organizer, OrganizerCopy::GivenUp, "what her copy said is gone");

        office.microsoft.entra.consent_to_all(tenant.id(), DAEMON_APP);
        contoso.stands(TenantState::Active).await?;
        contoso.pass(hours(TOMBSTONE + 12)).await;
        assert_eq!(meeting.answer_of(aurora), Some(Response::Declined));
        assert_eq!(contoso.taken(aurora, "2026-12-03").await?, []);
        if erased {
            assert_eq!(contoso.word(&meeting, anna, aurora)?, Some(serde_json::json!({})));
            assert_eq!(contoso.pointers(anna).await?, 0);
            assert!(contoso.mailbox(anna).await.is_err());
        }
        contoso.is_well().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_agrees_again_while_being_erased_is_followed_anew() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(5)).await;
    let seeding = contoso.office.seeding();
    let old = contoso.mailbox(&contoso.anna).await?.nonce;
    contoso.anna_leaves(contoso.erased(Farewell::Anonymous), Task::Erase).await?;
    seeding.agree(&contoso.anna).await?;
    contoso.pass(minutes(5)).await;
    let row = contoso.mailbox(&contoso.anna).await?;
    assert!(row.subscription.is_some() && row.nonce != old);
    assert_eq!(
        contoso.outcome(&meeting, &contoso.anna, &contoso.aurora)?.as_deref(),
        Some("booked")
    );
    contoso.pass(hours(TOMBSTONE + 2)).await;
    assert!(contoso.mailbox(&contoso.anna).await.is_ok(), "the tombstone's time is not hers");
    contoso.is_well().await
}

#[tokio::test]
async fn a_mailbox_that_graph_does_not_subscribe_is_looked_at_instead() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    let daemon = world::microsoft::DAEMON_APP;
    office.microsoft.entra.consent(contoso.tenant.id(), daemon, &["Calendars.ReadWrite"]);
    contoso.pass(hours(2)).await;
    office.seeding().agree(ben).await?;
    office.settle().await;
    let row = contoso.mailbox(ben).await?;
    assert!(row.subscription.is_none() && row.polled.is_some());

    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(25)).await;
    assert_eq!(contoso.outcome(&meeting, ben, aurora)?.as_deref(), Some("booked"));

    // Once Graph takes it, there is nothing to look for any more.
    office.microsoft.entra.consent(
        contoso.tenant.id(),
        daemon,
        &["Calendars.Read", "Calendars.ReadWrite"],
    );
    contoso.pass(hours(26)).await;
    let row = contoso.mailbox(ben).await?;
    assert!(row.subscription.is_some() && row.polled.is_none());
    office.seeding().withdraw(ben).await?;
    contoso.pass(minutes(30)).await;
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| !row.keys.row.contains(ben.id())), "{due:?}");
    contoso.is_well().await
}

#[tokio::test]
async fn an_appointment_that_cannot_be_changed_keeps_nothing_else_from_being_erased() -> Outcome {
    let contoso = open_minded().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    for nth in 1..=20 {
        let (method, template) = ("PATCH", "/users/{id}/events/{id}");
        let (moment, outcome) = (Moment::Before, Answer::Status(400));
        office.microsoft.graph.fail(Fault { method, template, nth, moment, outcome });
    }
    contoso.anna_leaves(contoso.erased(Farewell::Anonymous), Task::Erase).await?;
    assert_eq!(contoso.subscriptions(anna), 0, "nothing new comes in, whatever is refused");
    contoso.pass(hours(6)).await;
    assert_eq!(contoso.pointers(anna).await?, 0);
    contoso.pass(hours(TOMBSTONE)).await;
    assert!(contoso.mailbox(anna).await.is_err(), "the tombstone is gone");
    contoso.is_well().await
}

#[tokio::test]
async fn whenever_somebody_erases_our_mark_does_not_stay() -> Outcome {
    for step in 0..14 {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, office, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        for _ in 0..step {
            office.microsoft.exchange.step();
            office.microsoft.graph.deliver_due().await;
            office.host.pump_once().await;
        }
        contoso.anna_leaves(contoso.erased(Farewell::Anonymous), Task::Erase).await?;
        contoso.pass(hours(2)).await;
        let word = contoso.word(&meeting, anna, aurora)?;
        assert!(word.is_none_or(|word| word == serde_json::json!({})), "after step {step}");
        assert_eq!(contoso.traces(anna, &[]).await?, Vec::<String>::new(), "after step {step}");
        contoso.is_well().await?;
    }
    Ok(())
}
