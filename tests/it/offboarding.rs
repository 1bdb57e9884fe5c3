//! How a mailbox is left: bookings stay anonymously or are released, and nothing of a person stays.

use roombridge::domain::appointment::{DesiredState, EndReason, OrganizerCopy};
use roombridge::domain::booking::ObservedState;
use roombridge::domain::tenant::policy::{ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::domain::tenant::{Suspension, SuspensionReason, TenantState};
use roombridge::messages::MailboxTaskKind;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use roombridge::store::tables::Table;
use roombridge::store::tenants::{Tenant, Tenants};
use world::exchange::{Invitation, Mailbox, Response};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, Refusal, RequestFault};
use world::microsoft::DAEMON_APP;

use crate::contoso::{Contoso, Who, at, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(
    releasing_the_rooms_frees_them_and_notifies_the_organizer,
    erasing_everything_leaves_nothing_behind,
);

/// How long a tombstone stays in these stories.
const TOMBSTONE_HOURS: i64 = 29;

impl Contoso {
    /// Anna leaves like this, and everything that follows at once has happened.
    async fn remove_anna(&self, state: MailboxState, task: MailboxTaskKind) -> TestResult {
        let fixtures = self.world.fixtures();
        fixtures.set_mailbox_state(&self.anna, state).await?;
        fixtures.send_task(&self.anna, task).await?;
        self.run_for(minutes(2)).await;
        Ok(())
    }

    async fn set_tenant_state(&self, state: TenantState) -> TestResult {
        let store = std::sync::Arc::clone(&self.world.raw_tables);
        let tenants = Tenants::new(store, std::sync::Arc::new(self.world.clock.clone()));
        let (tenant, etag) =
            tenants.get_with_etag(self.tenant_id()?).await?.ok_or("no such tenant")?;
        tenants.replace(&Tenant { state, ..tenant }, &etag).await?;
        Ok(())
    }

    fn erased_state(&self, disposition: BookingDisposition) -> MailboxState {
        MailboxState::Erased(disposition, self.now() + hours(TOMBSTONE_HOURS))
    }

    /// Where rows and waiting messages name `person`: by id, address, name, or the id of one of
    /// their copies in `events`. The register may, and the tombstone with its due entry.
    async fn traces(&self, person: &Mailbox, events: &[String]) -> Result<Vec<String>, TestError> {
        let words = [person.id(), person.address(), "Anna", "Quarterly numbers"];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend_from_slice(events);
        let mut found = Vec::new();
        for table in Table::ALL {
            for row in self.rows(table).await? {
                let text = serde_json::to_string(&row.properties)?;
                let text = format!("{} {} {text}", row.key.partition, row.key.row);
                let named = words.iter().any(|word| text.contains(word.as_str()));
                let own = matches!(table, Table::Mailboxes | Table::Due | Table::Register)
                    && row.key.row.ends_with(person.id());
                if named && !own {
                    found.push(format!("{table:?} {} {}", row.key.partition, row.key.row));
                }
            }
        }
        for queue in roombridge::queue::Queue::ALL {
            let kind = world::memory::QueueKind::Main(queue);
            for message in self.world.memory_outbox.messages(kind) {
                if words.iter().any(|word| message.text.contains(word.as_str())) {
                    found.push(format!("{queue:?}"));
                }
            }
        }
        Ok(found)
    }
}

/// Everything that a tenant may let into a booking.
async fn contoso_keeping_content() -> Result<Contoso, TestError> {
    let (subject, people) = (SubjectPolicy::Keep, PeoplePolicy::Addresses);
    Contoso::builder()
        .content(ContentPolicy { subject, people, ..ContentPolicy::default() })
        .open()
        .await
}

#[tokio::test]
async fn after_a_withdrawal_the_booking_rests_on_the_rooms_own_copy() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let state = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);
    contoso.remove_anna(state, MailboxTaskKind::Unsubscribe).await?;

    let booking = contoso.expect_booking(&meeting, &contoso.aurora).await?;
    assert!(matches!(booking.observed, ObservedState::Booked(_)));
    let DesiredState::Wanted(spec) = &booking.desired else { return Err("not wanted".into()) };
    assert_eq!(spec.facts.details, Default::default(), "nothing of what Anna's copy said");
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

async fn releasing_the_rooms_frees_them_and_notifies_the_organizer(contoso: Contoso) -> TestResult {
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let at_aurora = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let at_borealis = contoso.meet(anna, ("09:00", "10:00"), borealis)?;
    contoso.run_for(minutes(5)).await;
    let state = MailboxState::Withdrawn(BookingDisposition::Release);
    contoso.remove_anna(state, MailboxTaskKind::Unsubscribe).await?;
    contoso.run_for(minutes(10)).await;

    for (meeting, room) in [(&at_aurora, aurora), (&at_borealis, borealis)] {
        let booking = contoso.expect_booking(meeting, room).await?;
        assert_eq!(booking.desired, DesiredState::Unwanted(EndReason::Abandoned));
        assert_eq!(booking.observed, ObservedState::Nothing);
        assert_eq!(meeting.response_of(room), Some(Response::Declined));
        assert_eq!(contoso.ledger_slots(room, "2026-11-24").await?, []);
        assert_eq!(contoso.outcome_property(meeting, anna, room)?, Some(serde_json::json!({})));
    }
    // Ben takes the time that has become free.
    let bens = contoso.meet(&contoso.ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(bens.response_of(aurora), Some(Response::Accepted));
    // Somebody who requests the released room again gets it like anybody else.
    at_borealis.move_to(at("14:00"), at("15:00"))?;
    contoso.run_for(minutes(5)).await;
    assert!(matches!(
        contoso.expect_booking(&at_borealis, borealis).await?.observed,
        ObservedState::Booked(_)
    ));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn releasing_declines_for_rooms_whose_calendars_are_not_followed() -> TestResult {
    for erased in [false, true] {
        let contoso = Contoso::open_without_rooms().await?;
        let Contoso { anna, cleo, aurora, borealis, .. } = &contoso;
        let at_aurora = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        let at_borealis = contoso.meet(anna, ("09:00", "10:00"), borealis)?;
        contoso.run_for(minutes(5)).await;
        let (state, task) = match erased {
            true => (contoso.erased_state(BookingDisposition::Release), MailboxTaskKind::Erase),
            false => {
                (MailboxState::Withdrawn(BookingDisposition::Release), MailboxTaskKind::Unsubscribe)
            }
        };
        contoso.remove_anna(state, task).await?;
        contoso.run_for(minutes(10)).await;
        for (meeting, room) in [(&at_aurora, aurora), (&at_borealis, borealis)] {
            assert_eq!(meeting.response_of(room), Some(Response::Declined), "{erased}");
            assert_eq!(contoso.ledger_slots(room, "2026-11-24").await?, []);
            let next = contoso.meet(cleo, ("09:00", "10:00"), room)?;
            contoso.run_for(minutes(5)).await;
            assert_eq!(next.response_of(room), Some(Response::Accepted), "{erased}");
        }
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_room_that_was_given_up_is_booked_again_when_it_is_invited_again() -> TestResult {
    for rooms_followed in [true, false] {
        let contoso = match rooms_followed {
            true => Contoso::open().await?,
            false => Contoso::open_without_rooms().await?,
        };
        let Contoso { anna, aurora, world, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        let state = MailboxState::Withdrawn(BookingDisposition::Release);
        contoso.remove_anna(state, MailboxTaskKind::Unsubscribe).await?;
        contoso.run_for(minutes(10)).await;
        world.fixtures().agree(anna).await?;
        contoso.run_for(minutes(10)).await;

        // Outlook shows the decline, and so does our mark.
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(booking.desired, DesiredState::Unwanted(EndReason::Abandoned));
        assert_eq!(meeting.response_of(aurora), Some(Response::Declined));
        assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("released"));
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);

        meeting.change_rooms(&[])?;
        contoso.run_for(minutes(5)).await;
        meeting.change_rooms(&[aurora])?;
        contoso.run_for(minutes(10)).await;
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "{rooms_followed}");
        assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

async fn erasing_everything_leaves_nothing_behind(contoso: Contoso) -> TestResult {
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let meetings = [
        contoso.meet(anna, ("09:00", "10:00"), aurora)?,
        contoso.meet(anna, ("11:00", "12:00"), borealis)?,
    ];
    contoso.run_for(minutes(5)).await;
    let events: Vec<String> = meetings
        .iter()
        .filter_map(|meeting| meeting.copy_in(anna).map(|copy| copy.event))
        .collect();
    assert_eq!(events.len(), 2);
    assert!(!contoso.traces(anna, &events).await?.is_empty());
    let old = contoso.client_state(anna).await?;

    contoso
        .remove_anna(
            contoso.erased_state(BookingDisposition::KeepAnonymous),
            MailboxTaskKind::Erase,
        )
        .await?;
    assert_eq!(contoso.traces(anna, &events).await?, Vec::<String>::new());
    for (meeting, room) in meetings.iter().zip([aurora, borealis]) {
        assert_eq!(contoso.outcome_property(meeting, anna, room)?, Some(serde_json::json!({})));
        assert!(matches!(
            contoso.expect_booking(meeting, room).await?.observed,
            ObservedState::Booked(_)
        ));
    }

    // What Graph delivers again finds nobody.
    contoso.world.microsoft.graph.clear_requests();
    let again = serde_json::json!({ "value": [{
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "clientState": old,
        "changeType": "updated",
        "tenantId": contoso.tenant.id(),
        "resource": format!("Users/{}/Events/{}", anna.id(), events[0]),
        "resourceData": { "id": events[0] },
    }]});
    assert_eq!(contoso.post(again.to_string()).await?, 202);
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.graph_requests("GET", "/users/{id}/events/{id}"), []);
    assert_eq!(contoso.traces(anna, &events).await?, Vec::<String>::new());

    // Finally, the tombstone is removed, too.
    contoso.run_for(hours(TOMBSTONE_HOURS + 1)).await;
    assert!(contoso.mailbox(anna).await.is_err());
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| !row.key.row.contains(anna.id())), "{due:?}");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn erasing_and_releasing_frees_the_rooms() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let events = vec![meeting.copy_in(&contoso.anna).ok_or("no copy")?.event];
    contoso
        .remove_anna(contoso.erased_state(BookingDisposition::Release), MailboxTaskKind::Erase)
        .await?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(contoso.traces(&contoso.anna, &events).await?, Vec::<String>::new());
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Declined));
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn leaving_while_access_is_lost_forgets_at_once_and_the_rest_waits() -> TestResult {
    let later = ("2026-12-03T09:00", "2026-12-03T10:00");
    for erased in [false, true] {
        let contoso = contoso_keeping_content().await?;
        let Contoso { anna, aurora, world, tenant, .. } = &contoso;
        let meeting = contoso.meet(anna, later, aurora)?;
        contoso.run_for(minutes(5)).await;
        world.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
        let (since, reason) = (contoso.now(), SuspensionReason::TokenRefused);
        contoso.set_tenant_state(TenantState::Suspended(Suspension { since, reason })).await?;
        let (state, task) = match erased {
            true => (contoso.erased_state(BookingDisposition::Release), MailboxTaskKind::Erase),
            false => {
                (MailboxState::Withdrawn(BookingDisposition::Release), MailboxTaskKind::Unsubscribe)
            }
        };
        contoso.remove_anna(state, task).await?;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(booking.desired, DesiredState::Unwanted(EndReason::Abandoned));
        assert_eq!(booking.copies.organizer, OrganizerCopy::Released, "what her copy said is gone");

        world.microsoft.entra.consent_to_all(tenant.id(), DAEMON_APP);
        contoso.set_tenant_state(TenantState::Active).await?;
        contoso.run_for(hours(TOMBSTONE_HOURS + 12)).await;
        assert_eq!(meeting.response_of(aurora), Some(Response::Declined));
        assert_eq!(contoso.ledger_slots(aurora, "2026-12-03").await?, []);
        if erased {
            assert_eq!(
                contoso.outcome_property(&meeting, anna, aurora)?,
                Some(serde_json::json!({}))
            );
            assert_eq!(contoso.appointment_count(anna).await?, 0);
            assert!(contoso.mailbox(anna).await.is_err());
        }
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_person_who_agrees_again_while_being_erased_is_followed_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let fixtures = contoso.world.fixtures();
    let old = contoso.mailbox(&contoso.anna).await?.nonce;
    contoso
        .remove_anna(
            contoso.erased_state(BookingDisposition::KeepAnonymous),
            MailboxTaskKind::Erase,
        )
        .await?;
    fixtures.agree(&contoso.anna).await?;
    contoso.run_for(minutes(5)).await;
    let row = contoso.mailbox(&contoso.anna).await?;
    assert!(row.subscription.is_some() && row.nonce != old);
    assert_eq!(
        contoso.outcome_on_copy(&meeting, &contoso.anna, &contoso.aurora)?.as_deref(),
        Some("booked")
    );
    contoso.run_for(hours(TOMBSTONE_HOURS + 2)).await;
    assert!(
        contoso.mailbox(&contoso.anna).await.is_ok(),
        "the end of the tombstone does not apply to her row"
    );
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_mailbox_that_graph_does_not_subscribe_is_polled_instead() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let daemon = world::microsoft::DAEMON_APP;
    world.microsoft.entra.consent(contoso.tenant.id(), daemon, &["Calendars.ReadWrite"]);
    contoso.run_for(hours(2)).await;
    world.fixtures().agree(ben).await?;
    world.run_until_idle().await;
    let row = contoso.mailbox(ben).await?;
    assert!(row.subscription.is_none() && row.polling.is_some());

    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(25)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, ben, aurora)?.as_deref(), Some("booked"));

    // Once Graph accepts it, polling ends.
    world.microsoft.entra.consent(
        contoso.tenant.id(),
        daemon,
        &["Calendars.Read", "Calendars.ReadWrite"],
    );
    contoso.run_for(hours(26)).await;
    let row = contoso.mailbox(ben).await?;
    assert!(row.subscription.is_some() && row.polling.is_none());
    world.fixtures().withdraw(ben).await?;
    contoso.run_for(minutes(30)).await;
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| !row.key.row.contains(ben.id())), "{due:?}");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_appointment_that_cannot_be_changed_does_not_block_the_erasure() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    for nth in 1..=20 {
        let (method, template) = ("PATCH", "/users/{id}/events/{id}");
        let (moment, outcome) = (Fault::Before, Answer::Status(400));
        world.microsoft.graph.plan_fault(RequestFault { method, template, nth, moment, outcome });
    }
    contoso
        .remove_anna(
            contoso.erased_state(BookingDisposition::KeepAnonymous),
            MailboxTaskKind::Erase,
        )
        .await?;
    assert_eq!(contoso.subscriptions(anna), 0, "nothing new comes in, whatever is refused");
    contoso.run_for(hours(6)).await;
    assert_eq!(contoso.appointment_count(anna).await?, 0);
    contoso.run_for(hours(TOMBSTONE_HOURS)).await;
    assert!(contoso.mailbox(anna).await.is_err(), "the tombstone is gone");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_appointment_that_graph_answers_nonsense_about_holds_up_no_other() -> TestResult {
    for erased in [false, true] {
        let contoso = contoso_keeping_content().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        let times = [("09:00", "10:00"), ("11:00", "12:00"), ("13:00", "14:00")];
        let meetings = times.map(|time| contoso.meet(anna, time, aurora));
        let meetings = meetings.into_iter().collect::<Result<Vec<_>, _>>()?;
        contoso.run_for(minutes(5)).await;
        // The first of the three, and the same one at every further try.
        for nth in [1].into_iter().chain(4..200) {
            let (method, template) = ("PATCH", "/users/{id}/events/{id}");
            let (moment, outcome) = (Fault::Before, Answer::Raw(404, "<html>"));
            let fault = RequestFault { method, template, nth, moment, outcome };
            world.microsoft.graph.plan_fault(fault);
        }
        let state = match erased {
            true => contoso.erased_state(BookingDisposition::Release),
            false => MailboxState::Withdrawn(BookingDisposition::Release),
        };
        let task = if erased { MailboxTaskKind::Erase } else { MailboxTaskKind::Unsubscribe };
        contoso.remove_anna(state, task).await?;
        let still_marked = || {
            let value = |meeting| contoso.outcome_property(meeting, anna, aurora);
            let all = meetings.iter().map(value).collect::<Result<Vec<_>, _>>();
            all.map(|all| all.into_iter().filter(|v| *v != Some(serde_json::json!({}))).count())
        };
        assert_eq!(still_marked()?, 1, "{erased}");
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, [], "{erased}");
        contoso.run_for(hours(3)).await;
        assert!(contoso.graph_requests("PATCH", "/users/{id}/events/{id}").len() < 30);
        world.microsoft.graph.forget_faults();
        contoso.run_for(hours(2)).await;
        assert_eq!(still_marked()?, 0, "{erased}");
        assert_eq!(contoso.traces(anna, &[]).await?.is_empty(), erased);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn six_appointments_that_cannot_be_changed_hold_up_none_of_those_behind_them() -> TestResult {
    for erased in [false, true] {
        let contoso = contoso_keeping_content().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        let meet = |hour: u32| {
            let (start, end) = (format!("{hour:02}:00"), format!("{:02}:00", hour + 1));
            contoso.meet(anna, (&start, &end), aurora)
        };
        let meetings = (9..17).map(meet).collect::<Result<Vec<_>, _>>()?;
        contoso.run_for(minutes(5)).await;
        let copies = contoso.appointments(anna).await?;
        // A try gives up after five in a row: the next one begins with the sixth, and reaches the two
        // that can be changed.
        for copy in &copies[..6] {
            world.microsoft.graph.refuse(Refusal {
                method: "PATCH",
                template: "/users/{id}/events/{id}",
                mailbox: anna.id().to_owned(),
                event: copy.event.as_ref().map(|event| event.as_str().to_owned()),
                status: 503,
                code: "ServiceUnavailable",
            });
        }
        let (state, task) = match erased {
            true => (contoso.erased_state(BookingDisposition::Release), MailboxTaskKind::Erase),
            false => {
                (MailboxState::Withdrawn(BookingDisposition::Release), MailboxTaskKind::Unsubscribe)
            }
        };
        let marked = || -> Result<usize, TestError> {
            let value = |meeting| contoso.outcome_property(meeting, anna, aurora);
            let all = meetings.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            Ok(all.into_iter().filter(|value| *value != Some(serde_json::json!({}))).count())
        };
        contoso.remove_anna(state, task).await?;
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, [], "{erased}");
        contoso.run_for(minutes(10)).await;
        assert_eq!(marked()?, 6, "{erased}");
        world.microsoft.graph.end_refusals();
        contoso.run_for(hours(2)).await;
        assert_eq!(marked()?, 0, "{erased}");
        assert_eq!(contoso.traces(anna, &[]).await?.is_empty(), erased);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

/// Ben's import was read first, and Anna's room named her the organizer.
#[tokio::test]
async fn a_stranger_who_withdraws_does_not_make_the_organizers_mark_forgotten() -> TestResult {
    let contoso = Contoso::builder().followed(&[Who::Ben, Who::Aurora]).open().await?;
    let Contoso { anna, ben, aurora, world, .. } = &contoso;
    world.microsoft.exchange.set_propagation_delay(minutes(2));
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let mine = Invitation::new("Mine", at("15:00"), at("16:00")).room(aurora);
    let item = ben.import(meeting.ical(), mine)?;
    contoso.run_for(minutes(30)).await;
    world.fixtures().agree(anna).await?;
    contoso.run_for(hours(1)).await;
    let mark = contoso.outcome_property(&meeting, anna, aurora)?.ok_or("no mark")?;
    assert_eq!(mark["outcome"], "booked");
    ben.remove_event(&item);
    contoso.run_for(minutes(10)).await;
    let browser = crate::http_browser::Browser::new(world, "my-calendar");
    browser.sign_in(ben.id()).await?;
    browser.submit("withdraw", &[("bookings", "released")]).await?;
    contoso.run_for(hours(1)).await;
    let state = contoso.erased_state(BookingDisposition::Release);
    contoso.remove_anna(state, MailboxTaskKind::Erase).await?;
    contoso.run_for(hours(1)).await;
    let left = contoso.outcome_property(&meeting, anna, aurora)?;
    assert_eq!(left, Some(serde_json::json!({})), "our property is empty");
    Ok(())
}

#[tokio::test]
async fn a_mark_whose_write_seemed_to_fail_is_erased_too() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let (method, template) = ("PATCH", "/users/{id}/events/{id}");
    let (moment, outcome) = (Fault::After, Answer::Status(503));
    let fault = RequestFault { method, template, nth: 1, moment, outcome };
    world.microsoft.graph.plan_fault(fault);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    while world.microsoft.graph.faults_triggered() == 0 {
        contoso.run_for(seconds(1)).await;
    }
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    let state = contoso.erased_state(BookingDisposition::KeepAnonymous);
    contoso.remove_anna(state, MailboxTaskKind::Erase).await?;
    contoso.run_for(hours(2)).await;
    assert_eq!(contoso.outcome_property(&meeting, anna, aurora)?, Some(serde_json::json!({})));
    assert_eq!(contoso.traces(anna, &[]).await?, Vec::<String>::new());
    contoso.assert_healthy().await
}

#[tokio::test]
async fn erasing_at_any_moment_removes_our_property() -> TestResult {
    for step in 0..14 {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        for _ in 0..step {
            world.microsoft.exchange.deliver_due();
            world.microsoft.graph.deliver_due().await;
            world.host.process_all().await;
        }
        contoso
            .remove_anna(
                contoso.erased_state(BookingDisposition::KeepAnonymous),
                MailboxTaskKind::Erase,
            )
            .await?;
        contoso.run_for(hours(2)).await;
        let property = contoso.outcome_property(&meeting, anna, aurora)?;
        assert!(property.is_none_or(|value| value == serde_json::json!({})), "after step {step}");
        assert_eq!(contoso.traces(anna, &[]).await?, Vec::<String>::new(), "after step {step}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}
